"""Interference in generated scenes near Vilnius: jamming, spoofing, and what looks like it and is not."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import shapely

from core.ids import new_id
from geo.interference import JUMPED, LOST, Reading, Sign, area, doubt_of, false_fixes, false_place, scenes, sign

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
MINSK = 27.56, 53.9
KM_LAT, KM_LON = 1 / 111.195, 1 / (111.195 * 0.5779)
AREA_M = 30_000


def at(second: float, east_km: float = 0, north_km: float = 0) -> Reading:
    return Reading(START + timedelta(seconds=second), 25.28 + east_km * KM_LON, 54.69 + north_km * KM_LAT, None)


def none(second: float, last: Reading | None = None) -> Reading:
    """No fix, with the last place that was known or without any."""
    return Reading(START + timedelta(seconds=second), last and last.lon, last and last.lat, "no_fix")


def false(second: float, suspect: str | None = "jump", km: float = 0) -> Reading:
    return Reading(START + timedelta(seconds=second), MINSK[0] + km * KM_LON, MINSK[1], suspect)


def drive(until_s: int, east_km: float = 0, north_km: float = 0) -> list[Reading]:
    """At 72 km/h eastward, a fix each ten seconds."""
    return [at(second, east_km + second * 0.02, north_km) for second in range(0, until_s, 10)]


def told(readings: list[Reading], unit_id: UUID | None = None) -> Sign | None:
    return sign(unit_id or new_id(), new_id(), readings)


def jammed(east_km: float = 0, north_km: float = 0) -> list[Reading]:
    return [*drive(120, east_km, north_km), *(none(second) for second in range(120, 200, 10))]


def spoofed(east_km: float = 0, north_km: float = 0) -> list[Reading]:
    """The third at the false place was believed when it came."""
    fixes = [false(120), false(130, km=0.2), false(140, None, 0.4), false(150, None, 0.6)]
    return [*drive(120, east_km, north_km), *fixes]


def test_a_receiver_that_says_it_has_no_fix_is_lost_where_it_last_was() -> None:
    found = told(jammed())
    assert found is not None
    assert (found.kind, found.since, found.away) == (LOST, START + timedelta(seconds=120), ())
    assert found.lon == pytest.approx(25.28 + 110 * 0.02 * KM_LON)


def test_a_receiver_at_a_false_place_jumped_though_it_was_believed_there() -> None:
    found = told(spoofed())
    assert found is not None
    assert (found.kind, found.since) == (JUMPED, START + timedelta(seconds=120))
    assert found.away[0] == MINSK
    assert len(found.away) == 4
    assert found.lat == pytest.approx(54.69)


def test_one_that_flickers_between_here_and_there_jumped() -> None:
    flicker = [reading for second in range(120, 200, 20) for reading in (false(second), at(second + 10, 4))]
    found = told([*drive(120), *flicker])
    assert found is not None
    assert found.kind == JUMPED


@pytest.mark.parametrize(
    "readings",
    [
        drive(300),
        [*drive(120), false(120), *(at(second, 2.4) for second in range(130, 200, 10))],  # one outlier
        [*drive(120), *(at(second, 3 + second % 3) for second in range(120, 200, 3))],  # reflections between houses
        [*drive(120), none(120), none(130), at(140, 2.8)],  # a tunnel
        [none(second) for second in range(0, 200, 10)],  # in a garage since long ago
        [at(0), *(none(second) for second in range(700, 800, 10))],  # where it was ten minutes ago says nothing
        [at(0), at(600, 30), at(610, 30.2)],  # fixes came again after a long drive
    ],
)
def test_what_is_none(readings: list[Reading]) -> None:
    assert told(readings) is None


def signs_of(*found: Sign | None) -> list[Sign]:
    return [one for one in found if one is not None]


def test_three_jammed_units_of_one_area_are_one_interference() -> None:
    signs = signs_of(told(jammed()), told(jammed(12, 3)), told(jammed(-5, 14)), told(jammed(90)))
    (scene,) = scenes(signs, 3, AREA_M)
    assert scene == signs[:3]
    outline = shapely.geometry.shape(area(scene))
    assert all(outline.contains(shapely.Point(one.lon, one.lat)) for one in scene)
    assert not outline.contains(shapely.Point(signs[3].lon, signs[3].lat))
    assert false_place(scene) is None


def test_units_shown_at_one_false_place_belong_together_wherever_they_were() -> None:
    signs = signs_of(told(spoofed()), told(spoofed(120)), told(spoofed(0, 90)))
    (scene,) = scenes(signs, 3, AREA_M)
    assert len(scene) == 3
    place = false_place(scene)
    assert place is not None
    assert place.holds(*MINSK)
    assert not place.holds(25.28, 54.69)


@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_units_are_none(n: int) -> None:
    assert scenes(signs_of(*(told(jammed(north_km=i)) for i in range(n))), 3, AREA_M) == []


def test_three_trackers_of_one_unit_are_one_unit() -> None:
    unit_id = new_id()
    assert scenes(signs_of(*(told(jammed(), unit_id) for _ in range(3))), 3, AREA_M) == []


def test_two_interferences_far_apart_are_two() -> None:
    signs = signs_of(*(told(jammed(east, i)) for east in (0, 150) for i in range(3)))
    assert sorted(len(scene) for scene in scenes(signs, 3, AREA_M)) == [3, 3]


def test_of_what_was_believed_only_the_false_fixes_are_marked() -> None:
    found = told(spoofed())
    assert found is not None
    place = false_place([found])
    # In half an hour the false place would have been within reach: it is false all the same.
    later = [*spoofed()[-2:], at(300, 5), false(2_400, None), at(2_410, 9)]
    assert false_fixes(found, place, later) == [one.fix_at for one in later if one.lon and one.lon > 27]


def test_a_false_place_is_none_for_who_really_is_there() -> None:
    signs = signs_of(told(spoofed()), told(jammed(145, -88)))
    place = false_place(signs)
    assert place is not None
    assert place.holds(signs[1].lon, signs[1].lat)
    assert doubt_of(signs[0], place).away == place
    assert doubt_of(signs[1], place).away is None
