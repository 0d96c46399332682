"""Interference with satellite navigation as dispatchers are told of it: one alert with its area as long as it lasts.

It ends by itself after a quiet time, or when a dispatcher says so and why; after that a unit counts again only when
its receiver fails anew. One worker at a time looks, whoever else runs.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select

from core.audit import Action
from core.settings import Settings
from core.work import Work
from geo import interferences
from geo.doubt import INTERFERENCE
from geo.interference import Sign, belong, scenes
from geo.interferences import Scene
from tasks.models import Alert

_TURN = text("SELECT pg_try_advisory_xact_lock(hashtext('outrider.interference'))")
_ALONE = text("SELECT pg_advisory_xact_lock(hashtext('outrider.interference'))")


@dataclass(frozen=True)
class Limits:
    """What counts as interference: so many units within so many metres and minutes; and when it is over."""

    units: int = 3
    area_m: float = 30_000
    within: timedelta = timedelta(minutes=5)
    quiet: timedelta = timedelta(minutes=10)


def limits_of(settings: Settings) -> Limits:
    """The limits of the settings."""
    return Limits(
        settings.interference_units, settings.interference_km * 1_000.0,
        timedelta(seconds=settings.interference_within_s), timedelta(seconds=settings.interference_quiet_s),
    )  # fmt: skip


async def watch(work: Work, limits: Limits = Limits()) -> bool:
    """Begin, follow and end interferences by what came in; False when another worker is at it."""
    if not (await work.session.execute(_TURN)).scalar():
        return False
    running = await interferences.running(work)
    found = await _news(work, limits)
    for scene in running:
        mine = [one for one in found if _is_of(scene, one, limits)]
        found = [one for one in found if one not in mine]
        if mine and await interferences.join(work, scene, mine):
            await _tell(work, scene)
        await interferences.follow(work, scene)
        if scene.row.seen_at < work.now - limits.quiet:
            await interferences.end(work, scene)
            await _clear(work, scene.row.id)
    for group in scenes(found, limits.units, limits.area_m):
        scene = await interferences.begin(work, group)
        await interferences.follow(work, scene)
        work.session.add(
            Alert(kind=INTERFERENCE, interference_id=scene.row.id, since=scene.row.begun_at, raised_at=work.now,
                  updated_at=work.now)
        )  # fmt: skip
        work.audit(Action.COLLECTION, INTERFERENCE, scene.row.id, units=len({one.unit_id for one in group}))
    return True


async def _news(work: Work, limits: Limits) -> list[Sign]:
    over = await interferences.over(work, limits.within)
    signs = await interferences.signs(work, limits.within)
    return [one for one in signs if one.device_id not in over or one.since > over[one.device_id]]


def _is_of(scene: Scene, sign: Sign, limits: Limits) -> bool:
    return sign.device_id in scene.signs or any(belong(sign, one, limits.area_m) for one in scene.signs.values())


async def end(work: Work, interference_id: UUID) -> None:
    """It is over because a dispatcher says so, who closes the alert about it."""
    async with work.elevated():  # trackers are not the dispatcher's to see, but what they are doubted for is
        await work.session.execute(_ALONE)
        for scene in await interferences.running(work):
            if scene.row.id == interference_id:
                await interferences.end(work, scene)


async def _alert(work: Work, interference_id: UUID) -> list[Alert]:
    return await work.all(
        select(Alert).where(Alert.interference_id == interference_id, col(Alert.cleared_at).is_(None))
    )


async def _tell(work: Work, scene: Scene) -> None:
    for alert in await _alert(work, scene.row.id):
        alert.updated_at = work.now
        work.session.add(alert)


async def _clear(work: Work, interference_id: UUID) -> None:
    for alert in await _alert(work, interference_id):
        alert.cleared_at = alert.updated_at = work.now
        work.session.add(alert)
    await work.session.flush()
