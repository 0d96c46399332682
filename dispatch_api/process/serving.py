"""The commands that make Outrider's own processes."""

import sys

from core.settings import Settings

APPLICATION = "dispatch_api.asgi:app"
FRAME_LIMIT_BYTES = 64 * 1024
KEEP_ALIVE_S = 75
"""Longer than a proxy keeps its idle connections, and than most trackers pause between fixes."""


def outrider_command(*words: str) -> list[str]:
    """One of Outrider's own commands, run by this very Python."""
    return [sys.executable, "-m", "dispatch_api.cli", *words]


def server_command(settings: Settings, fd: int) -> list[str]:
    """A server process on an inherited listening socket."""
    return [sys.executable, "-m", "uvicorn", APPLICATION, "--fd", str(fd), *server_options(settings)]


def sharing_command() -> list[str]:
    """One of several server processes on the address of the settings (process/sharing.py)."""
    return [sys.executable, "-m", "dispatch_api.process.sharing"]


def server_options(settings: Settings) -> list[str]:
    """How uvicorn serves: our sockets, no query strings in logs; forwarded addresses are dispatch_api/access.py's."""
    options = [
        "--http", "dispatch_api.process.http:OnePacketProtocol",
        "--ws", "dispatch_api.process.websocket:LingeringSocket", "--ws-max-size", str(FRAME_LIMIT_BYTES),
        "--ws-per-message-deflate", "false", "--no-proxy-headers", "--no-server-header",
        "--no-access-log", "--log-level", "warning",
        "--timeout-graceful-shutdown", "5", "--timeout-keep-alive", str(KEEP_ALIVE_S),
    ]  # fmt: skip
    if settings.tls:
        options += ["--ssl-certfile", str(settings.tls_cert), "--ssl-keyfile", str(settings.tls_key)]
    return options
