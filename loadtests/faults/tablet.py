"""One tablet as a process that can be killed at any instant: `SERVER TOKEN STORE LEDGER finish|work [mutant]`.

It records violations without pause, and writes the name of each into the ledger once its app has it on the disk: from
then on it must arrive, once. `finish` only sends what waits.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

from mobile_contract.client import Officer
from mobile_contract.client.officer import now
from mobile_contract.client.store import Entry
from mobile_contract.client.wire import Later

WAITING_AT_MOST = 30


class NewIdEachTime(Officer):
    """A mutant: what is sent again is sent as something new."""

    async def _send(self, entry: Entry) -> Any:
        return await self.wire.call(entry.method, entry.path, entry.body | {"id": str(uuid4())})


async def _record(officer: Officer, ledger: int) -> None:
    while True:
        if len(officer.store.outbox()) < WAITING_AT_MOST:
            name = str(uuid4())
            officer.do(
                "/violations", id=name, note=name, category="tobacco", occurred_at=now(), lon=25.3, lat=54.7,
                coord_source="gps",
            )  # fmt: skip
            os.write(ledger, f"{name}\n".encode())
            os.fsync(ledger)
        await asyncio.sleep(0.005)


async def _send(officer: Officer) -> None:
    while True:
        try:
            async with asyncio.timeout(3):
                await officer.flush()
        except (Later, TimeoutError):
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.005)


async def _work(server: str, token: str, store: str, ledger: str, what: str, mutant: str = "") -> None:
    async with Officer.at(server, Path(store)) as officer:
        officer.__class__ = NewIdEachTime if mutant == "new_id_each_time" else Officer
        officer.wire.token = token
        sending = asyncio.create_task(_send(officer))
        if what == "work":
            await _record(officer, os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT))
        while officer.store.outbox():
            await asyncio.wait({sending}, timeout=0.05)
            if sending.done():
                sending.result()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        for entry in officer.store.outbox("refused"):
            sys.stdout.write(f"{entry.body['note']} {entry.answer}\n")


if __name__ == "__main__":
    asyncio.run(_work(*sys.argv[1:]))
