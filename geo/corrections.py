"""Corrections of violations: an addendum that says what was wrong and why; lists and heat show the corrected record.

Nothing is overwritten: the database itself keeps the whole record as it stood before, whoever changes it, where nobody
can write. So the original and every step since stay readable.
"""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from core.audit import Action
from core.codes import VIOLATION_CATEGORY
from core.errors import Invalid, NotFound, VersionConflict
from core.models import UserAccount
from core.work import Work
from geo import cells
from geo.models import Violation, ViolationAddendum, ViolationCategory, ViolationVersion
from geo.violations import FUTURE_SLACK, decimal, in_area, resource

NEEDED = ("category", "occurred_at", "lon", "lat", "coord_source")
"""What every violation has, so that it cannot be corrected to nothing."""

_LON, _LAT = func.ST_X(Violation.point), func.ST_Y(Violation.point)


async def _get(work: Work, violation_id: UUID, *, lock: bool = False) -> tuple[Violation, float, float]:
    query = select(Violation, _LON, _LAT).where(col(Violation.id) == violation_id)
    row = (await work.session.execute(query.with_for_update(key_share=True) if lock else query)).first()
    if row is None:
        raise NotFound
    return row[0], row[1], row[2]


async def read(work: Work, violation_id: UUID) -> dict[str, Any]:
    """The violation as it stands, as a feature; the look is audited. Raises NotFound."""
    found = await _get(work, violation_id)
    work.audit(Action.CONSULTATION, "violation", violation_id)
    return resource(*found)


async def correct(
    work: Work,
    violation_id: UUID,
    version: int,
    changes: Mapping[str, Any],
    *,
    reason_code: str,
    reason: str,
    area: cells.Box | None,
) -> dict[str, Any]:
    """The corrected violation as a feature; raises NotFound, VersionConflict, or Invalid for what cannot be.

    `changes`: the fields that were wrong, by the names of the interface, with their right values; `lon` and `lat`
    go together.
    """
    violation, lon, lat = await _get(work, violation_id, lock=True)
    if version != violation.version:
        raise VersionConflict(current_version=violation.version)
    await _check(work, changes)
    stands = resource(violation, lon, lat)["properties"] | {"lon": lon, "lat": lat}
    if all(stands[name] == value for name, value in changes.items()):
        raise Invalid.at("changes", "empty", "This is what the record says already.")
    lon, lat = changes.get("lon", lon), changes.get("lat", lat)
    for name in changes.keys() - {"lon", "lat"}:
        value = changes[name]
        setattr(violation, name, decimal(value) if name in {"quantity", "evaded_duties_eur"} else value)
    violation.point = f"SRID=4326;POINT({lon!r} {lat!r})"
    violation.cell_x, violation.cell_y = cells.column(lon), cells.row(lat)
    violation.in_area = in_area(lon, lat, area)
    addendum = ViolationAddendum(
        violation_id=violation_id, version=version, by=work.actor.id, at=work.now, reason_code=reason_code,
        reason=reason, changes=_plain(changes),
    )  # fmt: skip
    work.session.add(addendum)
    await work.session.flush()
    await work.session.refresh(violation)  # version and moment are the database's
    told = {"addendum": addendum.id, "reason_code": reason_code, "reason": reason, "changed": sorted(changes)}
    work.audit(Action.ALTERATION, "violation", violation_id, **told)
    return resource(violation, lon, lat)


async def _check(work: Work, changes: Mapping[str, Any]) -> None:
    if not changes:
        raise Invalid.at("changes", "empty", "A correction changes something.")
    for name in NEEDED:
        if name in changes and changes[name] is None:
            raise Invalid.at(name, "needed", "Every violation has this.")
    if ("lon" in changes) != ("lat" in changes):
        raise Invalid.at("lat", "needed", "lon and lat go together.")
    if "occurred_at" in changes and changes["occurred_at"] > work.now + FUTURE_SLACK:
        raise Invalid.at("occurred_at", "range", "The time lies in the future.")
    category = changes.get("category")
    if category and await work.session.get(ViolationCategory, category) is None:
        if category not in VIOLATION_CATEGORY:
            raise Invalid.at("category", "unknown", "There is no such category.")
        new = insert(ViolationCategory).values(category=category, registered_at=work.now)
        await work.session.execute(new.on_conflict_do_nothing())  # somebody else may need it at this moment, too


def _plain(changes: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(dict(changes), default=str))
    return plain


async def history(work: Work, violation_id: UUID) -> list[dict[str, Any]]:
    """Every version of a violation, the original first: as it was, and why it was corrected then.

    The last is as it stands, corrected by nobody. The look is audited. Raises NotFound.
    """
    violation, lon, lat = await _get(work, violation_id)
    same = and_(
        col(ViolationAddendum.violation_id) == col(ViolationVersion.violation_id),
        col(ViolationAddendum.version) == col(ViolationVersion.version),
    )
    query = (
        select(ViolationVersion, ViolationAddendum, col(UserAccount.name))
        .outerjoin(ViolationAddendum, same)
        .outerjoin(UserAccount, col(UserAccount.id) == col(ViolationAddendum.by))
        .where(col(ViolationVersion.violation_id) == violation_id)
        .order_by(col(ViolationVersion.version))
    )
    rows = (await work.session.execute(query)).all()
    work.audit(Action.CONSULTATION, "violation", violation_id, versions=len(rows) + 1)
    past = [
        {"version": was.version, "feature": _was(was.record), "corrected": why and why.model_dump() | {"by_name": name}}
        for was, why, name in rows
    ]
    return [*past, {"version": violation.version, "feature": resource(violation, lon, lat), "corrected": None}]


def _was(record: dict[str, Any]) -> dict[str, Any]:
    """A kept record as a feature."""
    lon, lat = record["point"]["coordinates"]
    return resource(Violation.model_validate(record | {"point": None}), lon, lat)
