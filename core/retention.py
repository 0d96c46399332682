"""How long what is kept, class by class: what is due, what a legal hold stops, and how it goes, in small steps.

Each step is a transaction of its own, written to the audit within it; so a run may be killed at any moment and the
next goes on. Only the system's actor may delete (row-level security), and only what is past its time.
"""

from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import func, text, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select

from core.actor import system
from core.audit import Action
from core.models import ClientWrite
from core.settings import Settings
from core.work import Work, open_work

BATCH = 5_000
PURPOSE = "retention"
Period = Callable[[Settings, datetime], datetime]
"""Before which moment something of a class is past its time."""

SECRETS_KEPT = timedelta(hours=24)
SECRETS = {
    "devices.create": ("key",), "devices.bulk": ("key",), "devices.register": ("key",),
    "devices.rotate_key": ("key",),
    "installs.enrol": ("credential",), "phones.pair": ("key", "code", "code_svg"),
    "users.create": ("one_time_password",), "users.reset_password": ("one_time_password",),
}  # fmt: skip
"""Stored answers that hold a secret, by the operation without its object, and under which names."""
ALWAYS_TEXT = {"installs.enrol", "phones.pair"}
"""Those whose contract has a text there in any case."""


def of_days(setting: str) -> Period:
    """The period of a setting in days."""
    return lambda settings, now: now - timedelta(days=getattr(settings, setting))


duty: Period = of_days("retention_duty_days")


def audit_period(settings: Settings, now: datetime) -> datetime:
    """Audit rows are kept to the end of so many years after the year they were written in."""
    return datetime(now.year - settings.retention_audit_years, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Tally:
    """What of a class is past its time: how many rows would go, how many are held, and when the oldest is from."""

    due: int
    held: int
    oldest: datetime | None


class RecordClass(Protocol):
    """A class of records with a period of its own."""

    @property
    def name(self) -> str:
        """What it is called in settings, audit and reports."""

    @property
    def before(self) -> Period:
        """Its period."""

    async def tally(self, work: Work, before: datetime) -> Tally:
        """What is past its time; the actor must see every row."""

    def erase(self, engine: AsyncEngine, settings: Settings, before: datetime) -> AsyncIterator[int]:
        """Delete what is due, step by step; how many rows in each."""


@dataclass(frozen=True)
class Rows:
    """A class that is the rows of one table; rows of others go with them by their foreign keys.

    `at`, `due` and `held` are SQL over the row `r` and the moment `:before`: when it ages from, what else must hold,
    and whether a legal hold stops it.
    """

    name: str
    table: str
    at: str
    before: Period
    held: str = "false"
    due: str = "true"

    async def tally(self, work: Work, before: datetime) -> Tally:
        """What is past its time."""
        query = (
            f"SELECT count(*) FILTER (WHERE NOT h.held), count(*) FILTER (WHERE h.held), min({self.at})"  # noqa: S608
            f" FROM {self.table} r CROSS JOIN LATERAL (SELECT {self.held} AS held) h WHERE {self._due}"
        )
        return Tally(*(await work.session.execute(text(query), {"before": before})).one())

    @property
    def _due(self) -> str:
        return f"{self.at} < :before AND {self.due}"

    async def erase(self, engine: AsyncEngine, settings: Settings, before: datetime) -> AsyncIterator[int]:
        """Delete what is due, batch by batch."""
        while n := await self._step(engine, before):
            yield n

    async def _step(self, engine: AsyncEngine, before: datetime) -> int:
        query = (
            f"DELETE FROM {self.table} WHERE ctid = ANY(ARRAY(SELECT r.ctid FROM {self.table} r"  # noqa: S608
            f" WHERE {self._due} AND NOT {self.held} LIMIT :n FOR UPDATE SKIP LOCKED))"
        )
        async with open_work(engine, system(PURPOSE)) as work:
            done: Any = await work.session.execute(text(query), {"before": before, "n": BATCH})
            if done.rowcount:
                work.audit(Action.ERASURE, self.name, None, n=done.rowcount, before=before)
            return int(done.rowcount)


def held_object(kind: str, object_id: str) -> str:
    """SQL: a hold of this kind names this id."""
    return f"EXISTS (SELECT FROM active_hold h WHERE h.kind = '{kind}' AND h.object_id = {object_id})"  # nosec B608: constants only


def held_unit(unit_id: str, since: str, until: str) -> str:
    """SQL: this unit is held for some of the time from `since` to `until`."""
    return f"EXISTS (SELECT FROM held_span s WHERE s.unit_id = {unit_id} AND s.since <= {until} AND s.until >= {since})"  # nosec B608: constants only


def held_place(place: str, since: str, until: str) -> str:
    """SQL: this geometry lies in a held area, for some of the time from `since` to `until`."""
    return (
        f"EXISTS (SELECT FROM active_hold h WHERE h.kind = 'area' AND h.since <= {until} AND h.until >= {since}"  # nosec B608: constants only
        f" AND ST_Intersects(h.area, {place}))"
    )


def any_of(*conditions: str) -> str:
    """SQL: one of these holds."""
    return f"({' OR '.join(conditions)})"


def answers(prefix: str, table: str, before: Period) -> Rows:
    """The stored answers of routes `prefix.…`, which are kept as long as the row of `table` that they made or moved."""
    object_id = "coalesce(nullif(split_part(r.route, ':', 2), ''), r.answer ->> 'id')"
    return Rows(
        f"{prefix}_answers", "client_write", "r.at", before, held=held_object("person", "r.user_id"),
        due=f"r.route LIKE '{prefix}.%' AND NOT EXISTS (SELECT FROM {table} o WHERE o.id::text = {object_id})",  # nosec B608: constants only
    )  # fmt: skip


class AuditRows:
    """The rows of the audit; the chain of their hashes stays, so that the rows that are left can still be proved."""

    name, before = "audit_event", staticmethod(audit_period)
    _HELD = any_of(
        "EXISTS (SELECT FROM active_hold h WHERE h.object_id::text = r.object_id)",
        held_object("person", "r.actor_id"),
    )  # fmt: skip
    _OBJECTS = text("SELECT object_id, kind = 'person' FROM active_hold WHERE object_id IS NOT NULL")
    _ERASE = text("SELECT erase_audit(:before, CAST(:objects AS uuid[]), CAST(:people AS uuid[]), :n)")

    async def tally(self, work: Work, before: datetime) -> Tally:
        """What is past its time."""
        return await Rows(self.name, "audit_event", "r.at", self.before, held=self._HELD).tally(work, before)

    async def erase(self, engine: AsyncEngine, settings: Settings, before: datetime) -> AsyncIterator[int]:
        """Delete what is due, batch by batch; the rows that tell of it are what `verify` goes by."""
        while n := await self._step(engine, before):
            yield n

    async def _step(self, engine: AsyncEngine, before: datetime) -> int:
        async with open_work(engine, system(PURPOSE)) as work:
            held = (await work.session.execute(self._OBJECTS)).all()
            values = {
                "before": before, "n": BATCH, "objects": [row[0] for row in held],
                "people": [row[0] for row in held if row[1]],
            }  # fmt: skip
            n = int((await work.session.execute(self._ERASE, values)).scalar_one())
            if n:
                work.audit(Action.ERASURE, self.name, None, n=n, before=before)
            return n


CLASSES: tuple[RecordClass, ...] = (
    Rows(
        "inbox", "inbox", "r.at", duty,
        held=any_of(held_object("person", "r.user_id"), held_object("task", "r.object_id")),
    ),
    Rows(
        "inbox_answers", "client_write", "r.at", duty, held=held_object("person", "r.user_id"),
        due="r.route = 'inbox.ack'",
    ),
    Rows(
        "jobs", "job", "r.finished_at", duty, held=held_object("person", "r.created_by"),
        due="r.finished_at IS NOT NULL",
    ),
    Rows(
        "role_grants", "role_grant", "r.decided_at", audit_period,
        held=any_of(*(held_object("person", f"r.{name}") for name in ("user_id", "proposed_by", "decided_by"))),
        due="r.decided_at IS NOT NULL",
    ),
    answers("role_grants", "role_grant", audit_period),
    AuditRows(),
)  # fmt: skip


def without_secrets(answer: Any, names: Collection[str], blank: str | None = None) -> Any:
    """The answer with nothing for every value of these names."""
    if isinstance(answer, dict):
        return {key: blank if key in names else without_secrets(value, names, blank) for key, value in answer.items()}
    if isinstance(answer, list):
        return [without_secrets(value, names, blank) for value in answer]
    return answer


async def scrub_secrets(work: Work) -> int:
    """Forget the secrets in stored answers a day after they were given; how many answers. A repeat then has none."""
    n = 0
    for route, names in SECRETS.items():
        blank = "" if route in ALWAYS_TEXT else None
        holds = text("jsonb_path_exists(answer, CAST(:path AS jsonpath))").bindparams(
            path=f'$.**."{names[0]}" ? (@ != null && @ != "")'
        )
        query = select(ClientWrite).where(
            func.split_part(ClientWrite.route, ":", 1) == route, col(ClientWrite.at) < work.now - SECRETS_KEPT, holds
        )
        for row in await work.all(query.limit(BATCH)):
            scrubbed = without_secrets(row.answer, names, blank)
            await work.session.execute(update(ClientWrite).where(col(ClientWrite.id) == row.id).values(answer=scrubbed))
            n += 1
    return n
