"""The application uvicorn serves."""

import gc

from core.settings import Settings
from dispatch_api.app import create_app

app = create_app(Settings.read())
# All this stays until the process ends: looking through it for garbage again and again would hold up everybody for a
# fifth of a second each time. It must not count as what a full look has to be worth either, hence the second one.
gc.collect()
gc.freeze()
gc.collect()
# What comes later is looked through less often than Python would, but not so seldom that sockets closed long ago still
# fill the memory: they outlive a first look, and a second one came every twenty minutes, a third after sixteen hours.
gc.set_threshold(10_000, 4, 4)
