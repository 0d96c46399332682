"""`outrider serve`: the HTTP server alone, for installations with their own supervisor."""

import uvicorn

from core.settings import Settings
from dispatch_api.process.serving import APPLICATION, server_options


def run(settings: Settings) -> int:
    """Serve until stopped, just as under `outrider up`; the exit code."""
    place = ["--host", settings.host, "--port", str(settings.port)]
    uvicorn.main([APPLICATION, *place, *server_options(settings)], standalone_mode=False)
    return 0
