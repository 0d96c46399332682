"""What is really there, read from the database as its owner and through the API, against what was promised."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from core import audit
from core.db import asyncpg_dsn, make_engine
from loadtests.faults.ledger import Key, Kind, Promises
from loadtests.faults.scene import Crew
from loadtests.faults.writers import STEPS
from mobile_contract.fields import utc_text

SAMPLE = 50
"""Tasks whose history is also read through the API."""
STATUSES = ("issued", "delivered", "acknowledged", "en_route", "on_scene", "completed")
REACHED = dict(zip(STEPS, STATUSES[2:], strict=True))
"""The status a task has at least once this step was acknowledged."""

_POSITIONS = "SELECT device_id, fix_at, count(*) AS n FROM position WHERE device_id = ANY($1) GROUP BY 1, 2"
_VIOLATIONS = "SELECT note, count(*) AS n FROM violation WHERE recorded_by = ANY($1) GROUP BY 1"
_TASKS = (
    "SELECT title, count(*) AS n, min(id::text) AS id, min(status) AS status FROM task WHERE created_by = ANY($1)"
    " GROUP BY 1"
)
_STEPS = (
    "SELECT e.task_id, e.verb, count(*) AS n, min(e.result) AS result FROM task_event e JOIN task t ON t.id = e.task_id"
    " WHERE t.created_by = ANY($1) GROUP BY 1, 2"
)
_AUDITED = (
    "SELECT object_kind, object_id, count(*) AS n FROM audit_event WHERE action = 'collection'"
    " AND object_kind IN ('task', 'violation') AND actor_id = ANY($1) GROUP BY 1, 2"
)
_INBOX = "SELECT seq, event_id FROM inbox WHERE user_id = $1 ORDER BY seq"
_COUNTER = "SELECT seq FROM recipient WHERE user_id = $1"
_CURSOR = "SELECT upto FROM inbox_cursor WHERE user_id = $1"
_TOLD = (
    "SELECT id FROM task_event WHERE unit_id = $1 AND result = 'applied' AND verb NOT IN ('create', 'deliver', 'seen')"
)
_LATEST = (
    "SELECT l.fix_at = (SELECT max(p.fix_at) FROM position p WHERE p.unit_id = l.unit_id AND p.suspect IS NULL) AS good"
    " FROM unit_latest l WHERE l.unit_id = $1"
)


@dataclass
class Found:
    """What is wrong, each in words; all empty when every promise was kept."""

    lost: list[str] = field(default_factory=list)
    """Acknowledged, but not there."""
    doubled: list[str] = field(default_factory=list)
    """There more than once."""
    foreign: list[str] = field(default_factory=list)
    """There, though nobody sent it."""
    gaps: list[str] = field(default_factory=list)
    """Numbers of an inbox that are missing or out of order."""
    wrong: list[str] = field(default_factory=list)
    """Halves of a transaction, answers that contradict the database, a broken audit."""

    def compare(self, kind: Kind, promises: Promises, stored: dict[Key, int]) -> None:
        """Note what of one kind is not there once."""
        acked, begun = promises.acked[kind], promises.begun[kind]
        self.lost += [f"{kind} {' '.join(key)}" for key in acked if key not in stored]
        self.doubled += [f"{kind} {' '.join(key)}: {n} times" for key, n in stored.items() if n > 1]
        self.foreign += [f"{kind} {' '.join(key)}" for key in stored.keys() - begun]


async def check(urls: dict[str, str], api: str | None, crews: list[Crew], promises: Promises) -> Found:
    """Compare everything these crews were promised with what is there. No writer may run, a server at `api` must.

    Without `api` only the database is looked at.
    """
    found = Found()
    db = await asyncpg.connect(asyncpg_dsn(urls["OUTRIDER_OWNER_DATABASE_URL"]))
    try:
        await _rows(db, crews, promises, found)
        for crew in crews:
            await _inbox(db, crew, promises, found)
    finally:
        await db.close()
    if api:
        async with httpx.AsyncClient(base_url=f"{api}/api/v1", timeout=30) as http:
            await _by_api(http, crews, promises, found)
    await _audit(urls, found)
    return found


async def _rows(db: Any, crews: list[Crew], promises: Promises, found: Found) -> None:
    officers, dispatchers = [c.officer_id for c in crews], [c.dispatcher_id for c in crews]
    rows = await db.fetch(_POSITIONS, [c.device_id for c in crews])
    stored: dict[Key, int] = {(str(r["device_id"]), _moment(r["fix_at"])): r["n"] for r in rows}
    found.compare("fixes", promises, stored)
    stored = {(r["note"],): r["n"] for r in await db.fetch(_VIOLATIONS, officers)}
    found.compare("violation", promises, stored)
    tasks = await db.fetch(_TASKS, dispatchers)
    found.compare("task", promises, {(r["title"],): r["n"] for r in tasks})
    found.wrong += [f"task {r['title']} has the id {r['id']}" for r in tasks if r["id"] != r["title"]]
    events = await db.fetch(_STEPS, dispatchers)
    counted: dict[Key, int] = {(str(r["task_id"]), r["verb"]): r["n"] for r in events}
    found.compare("step", promises, {key: n for key, n in counted.items() if key[1] in STEPS})
    found.wrong += [f"step {r['verb']} of {r['task_id']} is {r['result']}" for r in events if r["result"] != "applied"]
    for task in tasks:
        _whole_task(task, counted, promises, found)
    audited = {(r["object_kind"], r["object_id"]): r["n"] for r in await db.fetch(_AUDITED, officers + dispatchers)}
    written = len(tasks) + len(stored)
    if len(audited) != written or set(audited.values()) - {1}:
        found.wrong.append(f"the audit tells of {sum(audited.values())} new tasks and violations; there are {written}")


def _whole_task(task: Any, counted: dict[Key, int], promises: Promises, found: Found) -> None:
    """A task stands where its acknowledged steps brought it, and its history tells each step once."""
    acked = [REACHED[verb] for verb in STEPS if (task["id"], verb) in promises.acked["step"]]
    least = acked[-1] if acked else "issued"
    if STATUSES.index(task["status"]) < STATUSES.index(least):
        found.lost.append(f"task {task['id']} is {task['status']}, was {least}")
    for verb in ("create", "issue", "deliver"):
        n = counted.get((task["id"], verb), 0)
        if n > 1:
            found.doubled.append(f"step {verb} of task {task['id']}: {n} times")
        elif n == 0 and verb != "deliver":
            found.wrong.append(f"task {task['id']} has no step {verb}")


async def _inbox(db: Any, crew: Crew, promises: Promises, found: Found) -> None:
    """The numbers run from 1 to the counter; what is in the inbox is what happened, each once; cursors stand."""
    rows, who = await db.fetch(_INBOX, crew.officer_id), f"inbox of {crew.officer_id}"
    found.gaps += _gaps(who, (r["seq"] for r in rows))
    counter = await db.fetchval(_COUNTER, crew.officer_id) or 0
    if counter != len(rows):
        found.gaps.append(f"{who}: {len(rows)} items, counted {counter}")
    told, happened = [r["event_id"] for r in rows], {r["id"] for r in await db.fetch(_TOLD, crew.unit_id)}
    if len(told) != len(set(told)):
        found.doubled.append(f"{who}: {len(told) - len(set(told))} items")
    if set(told) != happened:
        found.wrong.append(f"{who}: {len(happened - set(told))} steps missing, {len(set(told) - happened)} made up")
    promised = max((int(upto) for user, upto in promises.acked["cursor"] if UUID(user) == crew.officer_id), default=0)
    if (cursor := await db.fetchval(_CURSOR, crew.officer_id) or 0) < promised:
        found.lost.append(f"{who}: cursor at {cursor}, was {promised}")
    if await db.fetchval(_LATEST, crew.unit_id) is False:
        found.wrong.append(f"unit {crew.unit_id} is not shown where its newest fix was")


def _gaps(who: str, numbers: Iterable[int]) -> list[str]:
    return [f"{who}: {n} where {place} belongs" for place, n in enumerate(numbers, 1) if n != place]


async def _by_api(http: httpx.AsyncClient, crews: list[Crew], promises: Promises, found: Found) -> None:
    """What clients are shown: whole inboxes, and the history of some tasks."""
    sample = sorted(promises.acked["task"])[-SAMPLE:]
    for crew in crews:
        numbers: list[int] = []
        page: dict[str, Any] = {"next": 0}
        while page["next"] is not None:
            page = await _get(http, f"/inbox?after={page['next']}&limit=500", crew.officer_token)
            numbers += [item["seq"] for item in page["items"]]
        found.gaps += _gaps(f"inbox of {crew.officer_id} by the API", numbers)
        if page["head_seq"] != len(numbers):
            found.gaps.append(f"inbox of {crew.officer_id} by the API: {len(numbers)} of {page['head_seq']} items")
    for (task_id,) in sample:
        shown = await _get(http, f"/tasks/{task_id}/events?limit=500", crews[0].dispatcher_token)
        verbs = [event["verb"] for event in shown["items"]]
        found.lost += [
            f"step {verb} of task {task_id} by the API"
            for verb in STEPS
            if verbs.count(verb) != 1 and (task_id, verb) in promises.acked["step"]
        ]


async def _get(http: httpx.AsyncClient, path: str, token: str) -> dict[str, Any]:
    answer = await http.get(path, headers={"Authorization": f"Bearer {token}"})
    return dict(answer.raise_for_status().json())


async def _audit(urls: dict[str, str], found: Found) -> None:
    """Chain what is still loose, then verify the whole chain."""
    engine = make_engine(urls["OUTRIDER_DATABASE_URL"])
    try:
        while await audit.seal(engine):
            pass
        found.wrong += [f"audit: {fault}" for fault in await audit.verify(engine)]
    finally:
        await engine.dispose()


def _moment(at: Any) -> str:
    """A moment as the writers name it."""
    return str(utc_text(at).replace("Z", "+00:00"))
