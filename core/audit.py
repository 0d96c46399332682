"""Who did what, when, from where and why: rows nobody can change, chained by a sealer.

A row is written in the transaction of what it tells of, unchained, because a chain inside that transaction
would make every write wait for the one before. A trigger queues it in `audit_pending`; the sealer takes what is
committed, appends it to `audit_chain` (hash of the link before, and of the row) and exports each day's head.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core.actor import Actor
from core.ids import new_id
from core.models import AuditEvent

SEAL_BATCH = 1_000
_GENESIS = b"\x00" * 32


class Action(StrEnum):
    """The six actions of LED 2016/680 Art. 25, and those of access itself."""

    COLLECTION = "collection"
    ALTERATION = "alteration"
    CONSULTATION = "consultation"
    DISCLOSURE = "disclosure"
    COMBINATION = "combination"
    ERASURE = "erasure"
    SIGN_IN = "sign_in"
    SIGN_OUT = "sign_out"
    DENIAL = "denial"


def row(
    actor: Actor,
    at: datetime,
    action: Action,
    kind: str,
    object_id: UUID | str | None,
    fields: dict[str, Any],
) -> AuditEvent:
    """The row for one action; `fields` must hold no secret."""
    return AuditEvent(
        id=new_id(),
        at=at,
        actor_id=actor.user_id,
        actor_login=actor.login,
        roles=sorted(actor.roles),
        action=action,
        object_kind=kind,
        object_id=None if object_id is None else str(object_id),
        fields=json.loads(json.dumps(fields, default=str)),
        request_id=actor.request_id,
        address=actor.address,
    )


def _link(before: bytes, values: Mapping[str, Any]) -> bytes:
    """SHA-256 of the link before and of the row as canonical JSON (keys sorted, moments in UTC)."""
    plain = {k: v.astimezone(UTC).isoformat() if isinstance(v, datetime) else v for k, v in values.items()}
    return hashlib.sha256(before + json.dumps(plain, sort_keys=True, default=str).encode()).digest()


_NAMES = (
    "id", "at", "actor_id", "actor_login", "roles", "action", "object_kind", "object_id", "fields", "request_id",
    "address",
)  # fmt: skip
_COLUMNS = ", ".join(_NAMES)
_TAKE = text(
    f"SELECT {_COLUMNS} FROM audit_event JOIN (SELECT event_id FROM audit_pending ORDER BY event_id LIMIT :n"  # noqa: S608
    " FOR UPDATE) p ON p.event_id = id ORDER BY id"
)


async def seal(engine: AsyncEngine) -> int:
    """Chain what was committed since the last call (at most SEAL_BATCH rows); the number of rows chained."""
    async with engine.begin() as connection:
        await connection.execute(text("SELECT set_config('app.sees', '*', true)"))
        await connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('outrider.audit'))"))
        rows = (await connection.execute(_TAKE, {"n": SEAL_BATCH})).mappings().all()
        if not rows:
            return 0
        seq, before = await _head(connection)
        links = []
        for values in rows:
            seq, before = seq + 1, _link(before, dict(values))
            links.append({"seq": seq, "event_id": values["id"], "day": values["at"].date(), "hash": before})
        await connection.execute(
            text("INSERT INTO audit_chain (seq, event_id, day, hash) VALUES (:seq, :event_id, :day, :hash)"),
            links,
        )
        await connection.execute(
            text("DELETE FROM audit_pending WHERE event_id = ANY(:ids)"), {"ids": [v["id"] for v in rows]}
        )
        return len(rows)


async def _head(connection: AsyncConnection) -> tuple[int, bytes]:
    head = (await connection.execute(text("SELECT seq, hash FROM audit_chain ORDER BY seq DESC LIMIT 1"))).first()
    return (head.seq, bytes(head.hash)) if head else (0, _GENESIS)


async def extent(engine: AsyncEngine) -> tuple[int, date | None]:
    """How many links the chain has, and the day of the newest."""
    async with engine.begin() as connection:
        newest = (await connection.execute(text("SELECT seq, day FROM audit_chain ORDER BY seq DESC LIMIT 1"))).first()
    return (newest.seq, newest.day) if newest else (0, None)


async def export_head(engine: AsyncEngine, folder: Path) -> Path | None:
    """Write the chain's newest link to `folder`/<day>.txt and name the file; None when there is no link yet.

    Keep that folder off the host: it is what shows that a whole chain was replaced.
    """
    async with engine.begin() as connection:
        seq, link = await _head(connection)
        if seq == 0:
            return None
        day = (
            await connection.execute(text("SELECT day FROM audit_chain WHERE seq = :seq"), {"seq": seq})
        ).scalar_one()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{day}.txt"
    file.write_text(f"{seq} {link.hex()}\n")
    return file


async def verify(engine: AsyncEngine, heads: Path | None = None) -> list[str]:
    """What is wrong with the audit: altered, missing or unsealed rows, and heads that differ; empty if nothing.

    Rows that retention erased are missing rightly: an event of the chain itself tells from before which day.
    """
    faults: list[str] = []
    before, expected, links = _GENESIS, 1, {}
    erased_before = await _erased_before(engine)
    async for seq, event_id, day, stored, values in _chained(engine):
        if seq != expected:
            faults.append(f"link {expected} is missing")
        if values is None:
            if day >= erased_before:
                faults.append(f"link {seq}: event {event_id} is gone")
        elif _link(before, dict(values)) != stored:
            faults.append(f"link {seq}: event {event_id} was altered")
        before, expected, links[seq] = stored, seq + 1, stored.hex()
    async with engine.begin() as connection:
        await connection.execute(text("SELECT set_config('app.sees', '*', true)"))
        loose = await connection.execute(
            select(text("count(*)")).select_from(
                text("audit_event e WHERE NOT EXISTS (SELECT 1 FROM audit_chain c WHERE c.event_id = e.id)"
                     " AND NOT EXISTS (SELECT 1 FROM audit_pending p WHERE p.event_id = e.id)")
            )
        )  # fmt: skip
        if missing := loose.scalar_one():
            faults.append(f"{missing} events were never queued for the chain")
    for file in sorted(heads.glob("*.txt")) if heads and heads.is_dir() else []:
        seq_text, link = file.read_text().split()
        if links.get(int(seq_text)) != link:
            faults.append(f"the exported head {file.name} does not match link {seq_text}")
    return faults


# Materialized, because only these rows are known to hold a moment under that name.
_ERASED_BEFORE = text(
    "WITH e AS MATERIALIZED (SELECT at, fields ->> 'before' AS before FROM audit_event"
    " WHERE action = 'erasure' AND object_kind = 'audit_event' AND actor_id IS NULL)"
    " SELECT max(CAST(before AS timestamptz)) FROM e WHERE CAST(before AS timestamptz) AT TIME ZONE 'UTC'"
    " <= date_trunc('year', at AT TIME ZONE 'UTC') - interval '1 year'"
)


async def _erased_before(engine: AsyncEngine) -> date:
    async with engine.begin() as connection:
        await connection.execute(text("SELECT set_config('app.sees', '*', true)"))
        found: datetime | None = (await connection.execute(_ERASED_BEFORE)).scalar_one()
    return found.astimezone(UTC).date() if found else date.min


async def _chained(engine: AsyncEngine) -> AsyncIterator[tuple[int, UUID, date, bytes, Mapping[str, Any] | None]]:
    statement = text(
        f"SELECT c.seq, c.event_id, c.day, c.hash, e.* FROM audit_chain c LEFT JOIN"  # noqa: S608
        f" (SELECT {_COLUMNS} FROM audit_event) e ON e.id = c.event_id ORDER BY c.seq"
    )
    async with engine.connect() as connection, connection.begin():
        await connection.execute(text("SELECT set_config('app.sees', '*', true)"))
        rows = await connection.stream(statement)
        async for found in rows.mappings():
            values = {name: found[name] for name in _NAMES}
            event = values if values["id"] else None
            yield found["seq"], found["event_id"], found["day"], bytes(found["hash"]), event
