"""What the routes of the device lane share: reading a request, knowing its device, and the shape of an answer."""

import base64
import binascii
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Scope

from core.errors import BadDeviceKey, Malformed, TooLarge
from core.ids import digest
from dispatch_api.access import client_address
from dispatch_api.state import State
from geo.duty import KnownDevice

Headers = list[tuple[bytes, bytes]]
JSON = b"application/json"
JSON_HEADERS: Headers = [(b"content-type", JSON)]


class Reply(NamedTuple):
    """A whole answer but for the headers that every answer has."""

    status: int
    headers: Headers
    body: bytes


def header(scope: Scope, wanted: bytes) -> bytes:
    """The value of a request's header; empty without it."""
    return next((value for name, value in scope["headers"] if name == wanted), b"")


def is_json(scope: Scope, body: bytes) -> bool:
    """Whether the body says or looks as if it were a JSON object."""
    return bool(body) and (header(scope, b"content-type").lower().startswith(JSON) or body.lstrip().startswith(b"{"))


def authorized(scope: Scope) -> Iterator[str]:
    """The key of `Authorization`: a bearer's token, or the password of Basic, whatever the user's name."""
    scheme, _, value = header(scope, b"authorization").partition(b" ")
    if scheme.lower() == b"bearer":
        yield value.strip().decode("latin-1")
    if scheme.lower() == b"basic":
        try:
            yield base64.b64decode(value).partition(b":")[2].decode("utf-8", "replace")
        except binascii.Error:
            return


async def device_of(state: State, keys: Iterable[str]) -> KnownDevice:
    """The device that one of these keys opens; raises BadDeviceKey when none does."""
    digests = [digest(key) for key in keys if key]
    for known in digests:
        if device := state.duty.device(known):
            return device
    # One reading of the database tells about all of them.
    for asked in digests[:1]:
        await state.duty.find_device(asked)
    for known in digests:
        if device := state.duty.device(known):
            return device
    raise BadDeviceKey


def sender_of(state: State, headers: Headers, peer: str) -> str:
    """The address a request comes from: its peer's, or what a trusted proxy says it forwarded for."""
    if not state.settings.trusted_proxies:
        return peer
    return client_address(HTTPConnection({"type": "http", "headers": headers, "client": (peer, 0)}), state.settings)


async def body_of(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The request's body; raises TooLarge as soon as more than `limit` bytes are announced or come."""
    chunks: list[bytes] = []
    size, announced = 0, int(header(scope, b"content-length") or b"0")
    while max(size, announced) <= limit:
        message = await receive()
        _still_there(message)
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size <= limit and not message.get("more_body"):
            return b"".join(chunks)
    raise TooLarge(f"The body may have {limit} bytes at most.")


def _still_there(message: Message) -> None:
    if message["type"] == "http.disconnect":
        raise Malformed("The body is incomplete.")
