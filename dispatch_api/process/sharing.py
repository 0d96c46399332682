"""One of several server processes on one address, with a socket of its own: `python -m dispatch_api.process.sharing`.

The socket begins to listen once the process can answer, and is gone with it. So the kernel gives new connections only
to processes that work, whoever of them is starting, stopping or was killed.
"""

import socket

import uvicorn

from core.settings import Settings
from dispatch_api.process import ports
from dispatch_api.process.serving import APPLICATION, server_options


def main() -> None:
    """Serve until stopped."""
    settings = Settings.read()
    family, _, _, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
    own = ports.share(family, address)
    uvicorn.main([APPLICATION, "--fd", str(own.fileno()), *server_options(settings)], standalone_mode=False)


if __name__ == "__main__":
    main()
