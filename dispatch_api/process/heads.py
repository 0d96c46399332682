"""Requests that begin as one before did, told by their bytes: what was found out about that one holds for them too.

A tracker's deliveries differ in their bodies and how long those are; parsing the rest again costs a quarter of the
server's time for a fix. Nothing is parsed here: the bytes before and behind the digits of `Content-Length` must be
those of a head that the parser has read, so that it would read the same again.
"""

from typing import Generic, TypeVar

END, LENGTH = b"\r\n\r\n", b"\r\nContent-Length: "
DIGITS = 5
LONGEST = 1_024
MOST = 10_000
"""Heads that are kept; one more, and all are learned anew."""
Noted = TypeVar("Noted")


class Heads(Generic[Noted]):
    """What was noted of heads."""

    def __init__(self) -> None:
        self._noted: dict[bytes, Noted] = {}

    def find(self, data: bytes) -> tuple[Noted, bytes] | None:
        """What was noted of the head of these bytes, and their body; None unless they are one whole request."""
        end = data.find(END)
        start = data.find(LENGTH, 0, end)
        if start < 0 or end < 0:
            return None
        start += len(LENGTH)
        stop = data.find(b"\r", start)
        noted = self._noted.get(data[:start] + data[stop:end])
        if noted is None:
            return None
        digits, body = data[start:stop], data[end + len(END) :]
        if len(digits) > DIGITS or not digits.isdigit() or int(digits) != len(body):
            return None
        return noted, body

    def note(self, data: bytes, body: bytes, noted: Noted) -> None:
        """Note something of the head of these bytes, which the parser took for one whole request with this body."""
        end = data.find(END)
        start = data.find(LENGTH, 0, end)
        if start < 0 or not 0 < end < LONGEST or data[end + len(END) :] != body:
            return
        start += len(LENGTH)
        if len(self._noted) >= MOST:
            self._noted.clear()
        self._noted[data[:start] + data[data.find(b"\r", start) : end]] = noted
