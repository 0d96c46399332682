"""The listening socket: bound by the supervisor, handed to the servers, named in sentences when it cannot be."""

import errno
import ipaddress
import socket
from typing import Any

from dispatch_api.process.console import CannotStart

BACKLOG = 2048


def bind(host: str, port: int) -> socket.socket:
    """A listening socket that children may inherit; raises CannotStart with what to do."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        raise CannotStart(f"OUTRIDER_HOST={host} is no address of this machine.") from None
    listening = socket.socket(family, kind)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise CannotStart(_sentence(error.errno, host, port)) from None
    listening.set_inheritable(True)
    return listening


def reserve(host: str, port: int) -> socket.socket:
    """The address held for servers that share it: nobody is answered here, and no other user's program can take it.

    Raises CannotStart where `bind` does, also when servers that share it run already.
    """
    with bind(host, port) as alone:
        family, address = alone.family, alone.getsockname()
    return share(family, address)


def share(family: socket.AddressFamily, address: Any) -> socket.socket:
    """A socket bound to a shared address; the kernel spreads connections over those of them that listen."""
    one = socket.socket(family, socket.SOCK_STREAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    one.bind(address)
    one.set_inheritable(True)
    return one


def _sentence(number: int | None, host: str, port: int) -> str:
    if number == errno.EADDRINUSE:
        return (
            f"Port {port} on {host} is in use by another program: stop it, "
            f"or choose another port: make run PORT={port + 1}"
        )
    if number in {errno.EACCES, errno.EPERM}:
        return f"Port {port} needs administrator rights: choose one above 1023, for instance make run PORT=8000"
    return f"OUTRIDER_HOST={host} is no address of this machine."


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server on this address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def addresses(listening: socket.socket, scheme: str) -> list[str]:
    """The addresses a browser can use; of a server that listens everywhere, this machine's name as well."""
    host, port = listening.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        return [f"{scheme}://127.0.0.1:{port}", f"{scheme}://{socket.gethostname()}:{port}"]
    return [f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"]
