"""A tracker's UDP port: each datagram is taken by itself, and answered once what it holds is committed."""

import asyncio
from abc import abstractmethod
from functools import partial

import structlog

from core.errors import Malformed, Overloaded
from dispatch_api.gateway.desk import Desk

log = structlog.get_logger()

MOST = 1_000
"""Datagrams on their way to the database; more are dropped, and sent again by their devices."""
LONGEST = 9_728
"""Bytes of one: more than any tracker's."""
Address = tuple[str, int]


class Datagrams(asyncio.DatagramProtocol):
    """The UDP port of a protocol, which says how to take a datagram and what is answered."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._taking: set[asyncio.Task[None]] = set()

    @abstractmethod
    async def take(self, data: bytes, address: Address) -> bytes:
        """Store what a datagram holds; its answer, empty for none. Raises Malformed for what is none."""

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        """Begin to listen."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Take a datagram; what is none gets no answer."""
        if len(self._taking) >= MOST or len(data) > LONGEST:
            return
        task = asyncio.create_task(self._answer(data, addr))
        self._taking.add(task)
        task.add_done_callback(partial(_finished, self._taking))

    def error_received(self, exc: Exception) -> None:
        """An answer did not arrive: the device sends again."""

    async def finish(self) -> None:
        """Answer what is being stored."""
        await asyncio.gather(*self._taking, return_exceptions=True)

    async def _answer(self, data: bytes, address: Address) -> None:
        try:
            answer = await self.take(data, address)
        except Malformed as error:
            log.info("datagram_refused", address=address[0], reason=str(error))
            return
        if answer and not self._transport.is_closing():
            self._transport.sendto(answer, address)


def _finished(taking: "set[asyncio.Task[None]]", task: "asyncio.Task[None]") -> None:
    taking.discard(task)
    failure = None if task.cancelled() else task.exception()
    if failure is not None and not isinstance(failure, Overloaded):
        log.error("unexpected", exc_info=failure)
