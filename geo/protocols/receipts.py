"""What the decoders of protocols with receipts give: the answer a device waits for, and what is wrong with a frame."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from core.errors import Malformed
from geo.fix import Fix, Rejected


class DecodeError(Malformed):
    """The bytes are no message of this protocol."""


class Lost(DecodeError):
    """Where the next message begins cannot be told: the connection is of no more use."""


class Damaged(DecodeError):
    """A frame's checksum does not match: it is not answered as good, and the device sends it again."""


class Unreadable(DecodeError):
    """An undamaged frame that cannot be decoded. Without its answer the device would send it for ever."""

    def __init__(self, detail: str, answer: bytes) -> None:
        super().__init__(detail)
        self.answer = answer


class Message(NamedTuple):
    """What a frame holds, and what its device is answered once that is stored; empty for nothing."""

    answer: bytes
    fixes: list[Fix]
    rejected: list[Rejected]


Measure = Callable[[bytes], int | None]
"""How many bytes at the beginning are garbage, or a frame; None when that is not whole."""


def frames(data: bytes, garbage_bytes: Measure, frame_bytes: Measure) -> Iterator[bytes]:
    """The whole frames of a datagram; raises DecodeError."""
    at = 0
    while True:
        at += garbage_bytes(data[at:]) or 0
        size = frame_bytes(data[at:])
        if size is None:
            return
        yield data[at : at + size]
        at += size
