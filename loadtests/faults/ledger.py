"""What clients were promised: a file of every operation begun, and of every one acknowledged.

An acknowledgement counts once its line is on disk; writers wait for that together, so that one fsync serves many.
"""

import asyncio
import json
import os
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["fixes", "violation", "task", "step", "cursor"]
Key = tuple[str, ...]


@dataclass(frozen=True)
class Op:
    """One operation of a client.

    `key` names what must exist once: of fixes `[device, moment, …]`, of a violation or a task `[its id]`, of a step
    `[task, verb]`, of a cursor `[user, upto]`.
    """

    kind: Kind
    key: Key


class Ledger:
    """The file while it is being written; for one event loop."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")
        self._waiting: list[asyncio.Future[None]] = []
        self._syncing: asyncio.Task[None] | None = None
        self._numbers: dict[Op, int] = {}
        self._begun = 0
        self.acked = 0
        """Acknowledgements on disk."""

    def begin(self, op: Op) -> None:
        """Note that the operation is about to be sent for the first time."""
        self._numbers[op] = self._begun
        self._begun += 1
        self._file.write(json.dumps(asdict(op)) + "\n")

    async def ack(self, op: Op) -> None:
        """Note that the server acknowledged it; returns when the note is on disk."""
        self._file.write(json.dumps({"acked": self._numbers.pop(op)}) + "\n")
        noted = asyncio.get_running_loop().create_future()
        self._waiting.append(noted)
        if self._syncing is None or self._syncing.done():
            self._syncing = asyncio.create_task(self._sync())
        await noted

    async def _sync(self) -> None:
        while self._waiting:
            noted, self._waiting = self._waiting, []
            self._file.flush()
            await asyncio.to_thread(os.fsync, self._file.fileno())
            self.acked += len(noted)
            for each in noted:
                each.set_result(None)

    def close(self) -> None:
        """Nothing more will come."""
        self._file.close()


class Promises:
    """A ledger read back: by kind, the keys of everything begun and of what of it was acknowledged.

    Each fix of a delivery is one key `(device, moment)`. Of acknowledgements only the first `lines` of the file count.
    """

    def __init__(self, path: Path, lines: int | None = None) -> None:
        self.begun: dict[Kind, set[Key]] = defaultdict(set)
        self.acked: dict[Kind, set[Key]] = defaultdict(set)
        sent: list[Op] = []
        with path.open() as file:
            for number, line in enumerate(map(json.loads, file)):
                if "acked" in line:
                    if lines is not None and number >= lines:
                        continue
                    op = sent[line["acked"]]
                    self.acked[op.kind].update(_keys(op))
                else:
                    op = Op(line["kind"], tuple(line["key"]))
                    sent.append(op)
                    self.begun[op.kind].update(_keys(op))


def _keys(op: Op) -> list[Key]:
    return [(op.key[0], at) for at in op.key[1:]] if op.kind == "fixes" else [op.key]
