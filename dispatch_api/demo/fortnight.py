"""How the demonstration's trackers did in the fortnight before it began: most are sound, a few have the usual troubles."""

from bisect import bisect_right
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from core.work import Work
from dispatch_api.demo import story
from geo.counts import SKEW_BOUNDS_S
from geo.device_models import FixInterval, IngestCount
from geo.intervals import GAP_BOUNDS_S

DAYS = 13
DUTY_S = 8 * 3600.0
TROUBLES = {
    "weak coverage": {"late": 0.42, "gaps": 0.3},
    "a receiver beside a jammer": {"no_fix": 0.17, "jumps": 0.05},
    "an app that sends twice": {"duplicates": 0.3},
    "a clock that is wrong": {"skew_s": 95.0},
    "a loose aerial": {"jumps": 0.03, "no_fix": 0.06, "gaps": 0.12},
}
"""Shares of a day's fixes; `gaps` of the time, `skew_s` in seconds."""
SOUND = {"late": 0.02, "duplicates": 0.004, "jumps": 0.0008, "no_fix": 0.006}
"""The same shares of a tracker without troubles."""
EVERY = 7
"""Each so many trackers one has a trouble, in turn."""


def remember(work: Work, devices: Sequence[UUID], on_duty: Collection[UUID]) -> None:
    """Count thirteen days for each of these trackers, and this day so far for those on duty, as ingest would have."""
    random = Random(story.SEED + 4)
    midnight = work.now.replace(hour=0, minute=0, second=0, microsecond=0)
    for number, device_id in enumerate(devices):
        turn, has_none = divmod(number, EVERY)
        trouble = {} if has_none else list(TROUBLES.values())[turn % len(TROUBLES)]
        for back in range(DAYS, 0, -1):
            if (number + back) % 5 < 4:  # four days on, one off
                day = midnight - timedelta(days=back)
                work.session.add_all(_day(device_id, day, DUTY_S, random, trouble))
        if device_id in on_duty:
            so_far_s = min(DUTY_S, (work.now - midnight).total_seconds())
            counts, _ = _day(device_id, midnight, so_far_s, random, trouble)  # intervals are counted from what comes
            counts.seen_at = work.now
            work.session.add(counts)


def _day(
    device_id: UUID, day: datetime, duty_s: float, random: Random, trouble: dict[str, float]
) -> tuple[IngestCount, FixInterval]:
    silent_s = duty_s * (trouble.get("gaps", 0.004) * random.uniform(0.7, 1.2))
    fixes = round((duty_s - silent_s) / 12)
    share = {name: trouble.get(name, sound) * random.uniform(0.6, 1.3) for name, sound in SOUND.items()}
    n = {name: min(fixes, round(fixes * part)) for name, part in share.items()}
    skew_s = trouble.get("skew_s", 0.8) * random.uniform(0.9, 1.1)
    skews = [0] * (len(SKEW_BOUNDS_S) + 1)
    skews[bisect_right(SKEW_BOUNDS_S, skew_s)] = 40
    gaps = [0] * (len(GAP_BOUNDS_S) + 1)
    for place, part in ((2, 0.86), (3, 0.13), (4, 0.01)):
        gaps[place] = round(fixes * part)
    gaps[7] = 2 if trouble else 0
    counts = IngestCount(
        device_id=device_id, day=day, accepted=fixes, suspect=n["jumps"] + n["no_fix"], seen_at=day, skews=skews,
        skew_s=skew_s, battery_pct=random.uniform(55, 100), late=n["late"], duplicates=n["duplicates"], jumps=n["jumps"],
        no_fix=n["no_fix"],
    )  # fmt: skip
    return counts, FixInterval(
        device_id=device_id, day=day, gaps=gaps, heard_s=duty_s, silent_s=silent_s, counted_at=day
    )
