"""Who was first: told to whoever comes second."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import text

from core.work import Work

_CHANGED_LAST = text(
    "SELECT coalesce(u.name, e.actor_login) FROM audit_event e LEFT JOIN user_account u ON u.id = e.actor_id"
    " WHERE e.object_kind = :kind AND e.object_id = :id AND e.action = 'alteration' AND e.fields ?| :names"
    " ORDER BY e.id DESC LIMIT 1"
)


async def changed_last(work: Work, kind: str, object_id: UUID, names: Iterable[str]) -> str | None:
    """Who changed one of these fields last, by what the audit says: a name, or what the system did it as."""
    async with work.elevated():  # the audit as such is not the actor's to read
        name: str | None = await work.first(_CHANGED_LAST.bindparams(kind=kind, id=str(object_id), names=[*names]))
    return name
