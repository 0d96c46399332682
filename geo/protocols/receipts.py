"""What the decoders of protocols with receipts give: the answer a device waits for, and what is wrong with a frame."""

from typing import NamedTuple

from core.errors import Malformed
from geo.fix import Fix, Rejected


class DecodeError(Malformed):
    """The bytes are no message of this protocol."""


class Lost(DecodeError):
    """Where the next message begins cannot be told: the connection is of no more use."""


class Damaged(DecodeError):
    """A frame's checksum does not match: it is not answered, and the device sends it again."""


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
