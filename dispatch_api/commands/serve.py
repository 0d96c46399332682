"""`outrider serve`: the HTTP server alone, for installations with their own supervisor."""

import uvicorn

from core.settings import Settings
from dispatch_api.app import create_app


def run(settings: Settings) -> int:
    """Serve until stopped; the exit code."""
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        ws="websockets-sansio",
        access_log=False,
        server_header=False,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        timeout_graceful_shutdown=5,
    )
    return 0
