"""The application uvicorn serves."""

from core.settings import Settings
from dispatch_api.app import create_app

app = create_app(Settings())
