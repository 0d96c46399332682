"""`outrider serve`: the HTTP server alone, for installations with their own supervisor."""

import os
import signal
import sys
import threading
import time

import uvicorn

from core.settings import Settings
from dispatch_api.process import ports
from dispatch_api.process.children import Child
from dispatch_api.process.console import CannotStart, say
from dispatch_api.process.serving import APPLICATION, server_options, sharing_command

STOP_WITHIN_S = 10.0


def run(settings: Settings) -> int:
    """Serve until stopped, just as under `outrider up`; the exit code."""
    if settings.processes > 1:
        return _several(settings)
    place = ["--host", settings.host, "--port", str(settings.port)]
    uvicorn.main([APPLICATION, *place, *server_options(settings)], standalone_mode=False)
    return 0


def _several(settings: Settings) -> int:
    """Serve by several processes on one address, starting again whichever dies; the exit code."""
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    try:
        held = ports.reserve(settings.host, settings.port)
    except CannotStart as error:
        sys.stderr.write(f"Outrider cannot start. {error}\n")
        return 1
    with held:
        env = os.environ | {"OUTRIDER_HOST": settings.host, "OUTRIDER_PORT": str(held.getsockname()[1])}
        children = [Child(f"server-{n}", sharing_command(), env, None) for n in range(1, settings.processes + 1)]
        try:
            for child in children:
                child.start()
            while not stopping.wait(0.2):
                for child in children:
                    if happened := child.tend():
                        say(happened)
        finally:
            until = time.monotonic() + STOP_WITHIN_S
            for child in children:
                child.ask_to_stop()
            for child in children:
                child.wait_stopped(until)
    return 0
