"""Where pushes may go: browsers name the address, so it is believed only within what the operator allows.

The host must be one of the settings', the scheme https, the port its own. What the name stands for is looked up once,
and the connection goes to just that address: a name that turns into one of our own network's is refused, also when it
does so later. Redirects are not followed, proxies of the environment are not asked.
"""

import ipaddress
import re
import socket
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpcore

from core.settings import Settings

HTTPS = 443
CONNECTIONS = 50
_PLAIN = re.compile(r"[!-\[\]-~]{1,2000}")
"""Visible ASCII without the backslash, which browsers read as a slash and others do not."""
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_NAMED = re.compile(rf"(?:\*\.)?{_HOST.pattern}(?::[0-9]{{1,5}})?")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True)
class Endpoint:
    """An address that may be called, taken apart once: what was checked is what is called."""

    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        """The service, as a token names it."""
        return f"https://{self.host}" + (f":{self.port}" if self.port != HTTPS else "")

    @property
    def url(self) -> httpcore.URL:
        """For the connection."""
        return httpcore.URL(scheme="https", host=self.host, port=self.port, target=self.path)


@dataclass(frozen=True)
class Allowed:
    """The push services of the settings: names, `*.` before one for all below it, `:port` after one of its own."""

    hosts: frozenset[str]

    @classmethod
    def by(cls, settings: Settings) -> "Allowed":
        """Those of the settings."""
        return cls(frozenset(_names(settings.webpush_hosts)))

    @staticmethod
    def troubles(hosts: str) -> Iterator[str]:
        """What is wrong with the setting."""
        names = list(_names(hosts))
        wrong = [name for name in names if not _NAMED.fullmatch(name)]
        if wrong or not names:
            named = ", ".join(wrong) or "nothing"
            yield f"OUTRIDER_WEBPUSH_HOSTS names {named}: it is to be a list such as push.example,*.push.example."

    def endpoint(self, url: str) -> Endpoint | None:
        """The address taken apart, None when nothing may be sent there."""
        try:
            parts = urlsplit(url)
            port = parts.port or HTTPS
        except ValueError:
            return None
        host = parts.hostname or ""
        if not _PLAIN.fullmatch(url) or parts.scheme != "https" or "@" in parts.netloc or "#" in url:
            return None
        if not _HOST.fullmatch(host) or not self._names(host if port == HTTPS else f"{host}:{port}"):
            return None
        return Endpoint(host, port, f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}")

    def _names(self, host: str) -> bool:
        above = (f"*.{host[place + 1 :]}" for place, letter in enumerate(host) if letter == ".")
        return host in self.hosts or any(name in self.hosts for name in above)


def _names(hosts: str) -> Iterable[str]:
    return (name.strip().lower() for name in hosts.split(",") if name.strip())


class NotOutside(Exception):
    """The name stands for an address of a network of our own."""


def is_outside(address: str) -> bool:
    """Whether an address is one of the public internet, also behind the ways IPv6 writes those of IPv4."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found.sixtofour or found.teredo:
            return False
        if found.ipv4_mapped:
            found = found.ipv4_mapped
        elif found in _NAT64:
            found = ipaddress.IPv4Address(found.packed[-4:])
    return found.is_global and not found.is_multicast


class _Outward(httpcore.SyncBackend):
    """Connects to the addresses that were looked at, not to what a name stands for a moment later."""

    def __init__(self, *, private: bool) -> None:
        self._private = private

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *words: Any, **named: Any
    ) -> httpcore.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        addresses = [str(one[4][0]) for one in found]
        if not self._private and not all(map(is_outside, addresses)):
            raise NotOutside(host)
        share_s = timeout and timeout / len(addresses)  # a service of many addresses holds us up no longer than one
        for address in addresses[:-1]:
            try:
                return super().connect_tcp(address, port, share_s, *words, **named)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return super().connect_tcp(addresses[-1], port, share_s, *words, **named)


def connections(*, private: bool, authority: Path | None) -> httpcore.ConnectionPool:
    """Connections to push services, held open between pushes; `private`: also within our own network."""
    trust = ssl.create_default_context(cafile=str(authority) if authority else None)
    return httpcore.ConnectionPool(trust, max_connections=CONNECTIONS, network_backend=_Outward(private=private))
