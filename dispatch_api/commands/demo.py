"""`outrider demo`: load the demonstration, or drive its trackers and crews."""

import asyncio

from core.settings import Settings
from dispatch_api.demo import drive, load


def run(settings: Settings, action: str) -> int:
    """Do it; the exit code."""
    return asyncio.run(load.run(settings) if action == "load" else drive.run(settings))
