"""How long stop forms are kept, and the names in those that found nothing. Files go with what they belong to."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import system
from core.audit import Action
from core.retention import (
    BATCH,
    PURPOSE,
    RecordClass,
    Rows,
    Tally,
    answers,
    any_of,
    duty,
    held_object,
    held_place,
    held_unit,
    of_days,
)
from core.settings import Settings
from core.work import Work, open_work

found_period = of_days("retention_violation_days")
_STOPPED = ("r.first_stopped_at", "r.first_stopped_at")
_HELD = any_of(
    held_object("task", "r.task_id"), held_object("person", "r.recorded_by"),
    held_unit("r.unit_id", *_STOPPED), held_place("r.point", *_STOPPED),
    "EXISTS (SELECT FROM jsonb_array_elements_text(r.body -> 'violation_ids') v JOIN active_hold h"
    " ON h.kind = 'violation' AND h.object_id::text = v)",
)  # fmt: skip


class Names:
    """The names, papers and plates in stop forms that found nothing: taken out, while the rest stays."""

    name, before = "stop_form_names", staticmethod(of_days("retention_names_days"))
    _ROWS = Rows(
        name, "stop_form", "r.recorded_at", before, held=_HELD,
        due="r.result = 'nothing_found' AND r.names_removed_at IS NULL",
    )  # fmt: skip
    _GONE = """
    WITH due AS (SELECT r.id FROM stop_form r WHERE {due} AND NOT {held} LIMIT :n FOR UPDATE SKIP LOCKED),
    gone AS (UPDATE stop_form f
      SET names_removed_at = :now, plate_key = NULL, warnings = '[]', body = f.body || :without
      FROM due WHERE f.id = due.id RETURNING f.id),
    answered AS (UPDATE client_write w SET answer = w.answer || :without || '{{"plate_key": null, "warnings": []}}'
      FROM gone WHERE w.id = gone.id)
    SELECT count(*) FROM gone
    """
    _WITHOUT: ClassVar[dict[str, Any]] = {
        "persons": [], "company": None, "vehicle": None, "grounds": "", "findings": "", "search_object": None,
        "remarks": None, "injury_damage": None, "other_measures": None,
    }  # fmt: skip

    async def tally(self, work: Work, before: datetime) -> Tally:
        """What is past its time."""
        return await self._ROWS.tally(work, before)

    async def erase(self, engine: AsyncEngine, settings: Settings, before: datetime) -> AsyncIterator[int]:
        """Take the names out, batch by batch."""
        while n := await self._step(engine, before):
            yield n

    async def _step(self, engine: AsyncEngine, before: datetime) -> int:
        query = text(self._GONE.format(due=f"r.recorded_at < :before AND {self._ROWS.due}", held=_HELD))
        typed = query.bindparams(bindparam("without", type_=JSONB))
        values = {"before": before, "n": BATCH, "without": self._WITHOUT}
        async with open_work(engine, system(PURPOSE)) as work:
            n = int((await work.session.execute(typed, values | {"now": work.now})).scalar_one())
            if n:
                work.audit(Action.ERASURE, self.name, None, n=n, before=before)
            return n


CLASSES: tuple[RecordClass, ...] = (
    Names(),
    Rows("stop_forms", "stop_form", "r.recorded_at", found_period, held=_HELD),
    answers("stop_forms", "stop_form", found_period),
    answers("attachments", "attachment", duty),
)
