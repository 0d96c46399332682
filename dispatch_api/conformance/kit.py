"""A run of the kit: a device for each vector, all of them sent, and what the database holds of each."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import select

from core.actor import system
from core.errors import Conflict
from core.work import Work, open_work
from dispatch_api.conformance import wires
from dispatch_api.conformance.vectors import NOTHING, Vector, difference
from dispatch_api.conformance.wires import Device, NotSent, Place, Wrong
from geo import devices, units
from geo.models import Unit

CALL_SIGN = "CONFORMANCE"
AT_ONCE = 32
READING = 2
"""So many look at once what is stored: a busy database refuses who waits too long for a connection."""
STORED_WITHIN_S = 30.0
EVERY_S = 0.1
FORGOTTEN_S, TRIES = 2.0, 3
"""A gateway knows for a moment the device that had an identifier before: who comes to it then sends again."""
ACTOR = system("conformance")
FORWARDED = "traccar"
"""The protocol whose messages are not sent by the device itself."""
_TRACK = text(
    "SELECT fix_at, received_at, ST_Y(point) lat, ST_X(point) lon, accuracy_m, altitude_m, speed_mps, heading_deg,"
    " battery_pct, satellites FROM position WHERE device_id = :device AND point IS NOT NULL ORDER BY fix_at"
)
"""An alarm without a place is kept too, and is no fix."""


@dataclass(frozen=True)
class Outcome:
    """What became of a vector: `right`, `refused` (as it should be), `wrong` or `not sent`, and why."""

    vector: Vector
    result: str
    why: str = ""


class Kit:
    """Vectors against one running server."""

    def __init__(self, engine: AsyncEngine, place: Place, tell_broker: Callable[[], Awaitable[None]]) -> None:
        """`tell_broker` is awaited once phones that use MQTT are registered: the broker may have to be told."""
        self._engine, self._place, self._tell_broker = engine, place, tell_broker
        self._slots, self._reading = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(READING)

    async def run(self, vectors: Sequence[Vector]) -> list[Outcome]:
        """The outcome of each; those of one identifier in turn, since a device has it to itself."""
        unit_id = await self._unit()
        found: list[Outcome] = []
        for number, turn in enumerate(_turns(vectors)):
            if number:
                await asyncio.sleep(FORGOTTEN_S)
            made, refused = await self._registered(unit_id, turn)
            try:
                if any(vector.transport == "mqtt" for vector in turn):
                    await self._tell_broker()
                sent = [
                    self._tried(vector, device, made.get(forwarder(vector.name), device).key)
                    for vector in turn if (device := made.get(vector.name))
                ]  # fmt: skip
                done = await asyncio.gather(*sent)
                found += [*refused, *[await self._still(outcome, made) for outcome in done]]
            finally:
                await self._revoke(made.values())
        return found

    async def _unit(self) -> UUID:
        async with open_work(self._engine, ACTOR) as work:
            known = await work.first(select(Unit.id).where(Unit.call_sign == CALL_SIGN))
            values = {"call_sign": CALL_SIGN, "kind": "patrol", "tracking": "always", "capabilities": []}
            return UUID(str(known or (await units.create(work, values, [])).resource()["id"]))

    async def _registered(self, unit_id: UUID, turn: list[Vector]) -> tuple[dict[str, Device], list[Outcome]]:
        """A device for each vector, by name; and the vectors whose identifier is in use."""
        try:
            return await self._devices(unit_id, turn), []
        except Conflict:
            made: dict[str, Device] = {}
            refused: list[Outcome] = []
            for vector in turn:
                try:
                    made |= await self._devices(unit_id, [vector])
                except Conflict as error:
                    refused.append(Outcome(vector, "not sent", f"{vector.identifier}: {error}"))
            return made, refused

    async def _devices(self, unit_id: UUID, chosen: list[Vector]) -> dict[str, Device]:
        names = [vector.identifier or f"99{random.randrange(10**13):013}" for vector in chosen]
        items = [
            {"unit_id": unit_id, "protocol": vector.protocol, "identifier": name}
            for vector, name in zip(chosen, names, strict=True)
        ]
        async with open_work(self._engine, ACTOR) as work:
            made = await devices.create(work, items)
            found = {
                vector.name: Device(str(device["id"]), device["key"], name)
                for vector, device, name in zip(chosen, made, names, strict=True)
            }
            return found | await self._forwarders(work, unit_id, chosen, found)

    async def _forwarders(
        self, work: Work, unit_id: UUID, chosen: list[Vector], made: dict[str, Device]
    ) -> dict[str, Device]:
        """A device for each that another server forwards for, by the name that `forwarder` gives it."""
        forwarded = [vector.name for vector in chosen if vector.protocol == FORWARDED]
        items = [{"unit_id": unit_id, "protocol": FORWARDED, "forwards_for": [made[name].id]} for name in forwarded]
        found = await devices.create(work, items)
        return {
            forwarder(name): Device(str(device["id"]), device["key"], "")
            for name, device in zip(forwarded, found, strict=True)
        }

    async def _revoke(self, made: Iterable[Device]) -> None:
        async with open_work(self._engine, ACTOR) as work:
            for device in made:
                await devices.revoke(work, UUID(device.id))

    async def _tried(self, vector: Vector, device: Device, key: str) -> Outcome:
        async with self._slots:
            for number in range(TRIES):
                if number:
                    await asyncio.sleep(FORGOTTEN_S)
                try:
                    await wires.send(self._place, vector, device, key)
                    wrong = await self._settled(vector, device)
                except NotSent as off:
                    return Outcome(vector, "not sent", str(off))
                except (Wrong, OSError, ValueError, RuntimeError) as error:
                    wrong = str(error) or type(error).__name__
                if wrong is None:
                    return Outcome(vector, "refused" if vector.outcome == "reject" else "right")
            return Outcome(vector, "wrong", wrong or "")

    async def _settled(self, vector: Vector, device: Device) -> str | None:
        """In what it differs from what is expected, once it does not, or it is too late for a change."""
        loop = asyncio.get_running_loop()
        until = loop.time() + STORED_WITHIN_S
        while True:
            wrong = difference(vector, await self._rows(device))
            if wrong is None or loop.time() > until:
                return wrong
            await asyncio.sleep(EVERY_S)

    async def _still(self, outcome: Outcome, made: dict[str, Device]) -> Outcome:
        """The same at the end of the round: what was to be nothing must have stayed nothing."""
        device = made.get(outcome.vector.name)
        if device is None or outcome.result not in {"right", "refused"} or outcome.vector.outcome not in NOTHING:
            return outcome
        wrong = difference(outcome.vector, await self._rows(device))
        return Outcome(outcome.vector, "wrong", wrong) if wrong else outcome

    async def _rows(self, device: Device) -> list[dict[str, Any]]:
        async with self._reading, open_work(self._engine, ACTOR) as work:
            found = await work.session.execute(_TRACK, {"device": UUID(device.id)})
            return [dict(row) for row in found.mappings()]


def forwarder(name: str) -> str:
    """What the device that forwards for a vector's is called beside it."""
    return f"{name}\0{FORWARDED}"


def _turns(vectors: Iterable[Vector]) -> list[list[Vector]]:
    """The vectors in rounds, none of which has two of the same protocol and identifier."""
    seen: dict[tuple[str, str], int] = {}
    numbered = []
    for vector in vectors:
        key = (vector.protocol, vector.identifier or f"\0{vector.name}")
        seen[key] = seen.get(key, 0) + 1
        numbered.append((seen[key], vector))
    numbered.sort(key=lambda each: each[0])
    return [[vector for _, vector in group] for _, group in itertools.groupby(numbered, key=lambda each: each[0])]
