"""The application uvicorn serves."""

import gc

from core.settings import Settings
from dispatch_api.app import create_app

app = create_app(Settings.read())
# All this stays until the process ends: looking through it for garbage again and again would hold up everybody for a
# fifth of a second each time. What comes later is looked through less often than Python would, for the same reason.
gc.collect()
gc.freeze()
gc.set_threshold(10_000, 20, 50)
