"""Plausibility as timelines: (seconds, km east, km north) of a device near Vilnius, and what is thought of each."""

import csv
import gzip
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest

from geo.doubt import INTERFERENCE, TWO_SENDERS, Circle, Doubt
from geo.fix import Fix
from geo.measures import distance_m, mps
from geo.motion import AGREEING, FROZEN_FIXES, Motion, reachable
from tests.helpers import BUSES_OF_WARSAW, shared_data

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
KM_LAT, KM_LON = 1 / 111.195, 1 / (111.195 * 0.5779)  # cos(54.7 degrees) = 0.5779


def at(second: float, east_km: float = 0, north_km: float = 0, accuracy_m: float | None = None) -> Fix:
    return Fix(
        fix_at=START + timedelta(seconds=second),
        lon=25.28 + east_km * KM_LON,
        lat=54.69 + north_km * KM_LAT,
        accuracy_m=accuracy_m,
    )


def jumps(*fixes: Fix, motion: Motion | None = None) -> list[bool]:
    motion = motion or Motion()
    return [motion.judge(fix) == "jump" for fix in fixes]


def test_the_units_of_trackers_become_metres_per_second() -> None:
    assert mps(1, "knots") == pytest.approx(0.514444, abs=1e-6)
    assert mps(36, "kmh") == pytest.approx(10)
    assert mps(7, "mps") == 7


def test_distance_agrees_with_postgis() -> None:
    # Cathedral squares of Vilnius and Kaunas, as PostGIS has it: sphere 92,742.83 m, ellipsoid 93,041.44 m.
    assert distance_m(25.2878, 54.6858, 23.8883, 54.8970) == pytest.approx(92_742.83, abs=0.01)
    assert distance_m(179.9, 0, -179.9, 0) == pytest.approx(22_239, rel=0.001)


def test_driving_is_plausible_and_a_leap_is_not() -> None:
    assert jumps(at(0), at(10, 0.3), at(20, 0.6), at(30, 30), at(40, 1.2)) == [False, False, False, True, False]


@pytest.mark.parametrize(("speed_kmh", "jump"), [(240, False), (262, True), (1000, True)])
def test_the_limit_is_250_kmh(speed_kmh: float, jump: bool) -> None:
    assert jumps(at(0), at(100, speed_kmh / 36))[1] is jump


def test_scatter_within_a_second_is_no_jump() -> None:
    assert jumps(at(0), at(0.2, 0.08), at(0.4, 0), at(0.6, 0, 0.09)) == [False] * 4


def test_a_stated_accuracy_excuses_as_much_and_no_more() -> None:
    assert jumps(at(0), at(1, 2, accuracy_m=2_500)) == [False, False]
    assert jumps(at(0), at(1, 2, accuracy_m=50)) == [False, True]
    assert jumps(at(0), at(1, 50, accuracy_m=900_000)) == [False, True]


def test_a_long_silence_explains_a_long_way() -> None:
    assert jumps(at(0), at(3 * 3600, 300)) == [False, False]


def test_the_date_line_is_no_jump() -> None:
    west, east = at(0), at(10)
    west.lon, east.lon = 179.9995, -179.9995
    assert reachable(west, east)


def test_a_wrong_first_fix_does_not_block_the_device() -> None:
    truth = [at(10 + 10 * n, 200 + 0.1 * n) for n in range(6)]
    assert jumps(at(0), *truth) == [False, True, True, False, False, False, False]
    assert AGREEING == 3


def test_jumps_that_disagree_never_win() -> None:
    wild = [at(10 * n, 100 * (-1) ** n * n) for n in range(1, 8)]
    assert jumps(at(0), *wild) == [False] + [True] * 7


def test_a_plausible_fix_between_breaks_the_row_of_jumps() -> None:
    far = [at(10, 200), at(20, 200), at(40, 200), at(50, 200)]
    assert jumps(at(0), *far[:2], at(30), *far[2:]) == [False, True, True, False, True, True]


def test_repeating_a_jump_does_not_make_it_true() -> None:
    assert jumps(at(0), *[at(10, 200)] * 9) == [False] + [True] * 9


def test_repeating_a_delivery_gives_the_same_verdicts() -> None:
    motion, fixes = Motion(), [at(0), at(10, 200), at(20, 200), at(30, 0.5), at(40, 0.7)]
    first = jumps(*fixes, motion=motion)
    assert jumps(*fixes, motion=motion) == first == [False, True, True, False, False]


def test_late_fixes_are_judged_by_what_came_before_them() -> None:
    drive = [at(10 * n, 0.2 * n) for n in range(10)]
    assert jumps(*drive, at(35, 0.7), at(36, 40), at(55, 1.1)) == [False] * 10 + [False, True, False]


def test_a_late_buffer_is_judged_along_its_own_way() -> None:
    old = [at(-3600, 50), at(-3590, 50.2), at(-3580, 90), at(-3570, 50.6)]
    assert jumps(at(0), at(10), *old) == [False, False, False, False, True, False]


def test_the_same_verdicts_one_by_one_and_after_a_restart() -> None:
    fixes = [at(0), at(10, 0.2), at(20, 60), at(30, 0.5), at(40, 80), at(50, 80.1), at(60, 80.2), at(70, 80.3)]
    whole = jumps(*fixes)
    assert whole == [False, False, True, False, True, True, False, False]
    for cut in range(1, len(fixes)):
        stored = list(zip(fixes[:cut], whole[:cut], strict=True))
        assert jumps(*fixes[cut:], motion=Motion(stored[-16:])) == whole[cut:], cut


def test_real_buses_are_plausible_but_for_their_two_wild_places() -> None:
    file = shared_data(BUSES_OF_WARSAW, "plausibility is tested with timelines of our own only")
    if file is None:
        return
    by_unit: dict[str, list[Fix]] = defaultdict(list)
    with gzip.open(file, "rt") as lines:
        for row in csv.DictReader(lines):
            moment = datetime.fromisoformat(row["time"])
            by_unit[row["unit"]].append(Fix(fix_at=moment, lat=float(row["lat"]), lon=float(row["lon"])))
    n, jumped, last_jumped = 0, 0, 0
    for fixes in by_unit.values():
        verdicts = jumps(*sorted(fixes, key=lambda fix: fix.fix_at))
        n, jumped, last_jumped = n + len(fixes), jumped + sum(verdicts), last_jumped + verdicts[-1]
    print(f"{n} fixes of {len(by_unit)} buses: {jumped} jumps, {last_jumped} buses end on one")
    assert n > 400_000
    assert 0 < jumped < n * 0.002
    assert last_jumped <= len(by_unit) * 0.01


def on_the_spot(*seconds: float, speed_mps: float | None = 15, spot_km: float = 1) -> list[Fix]:
    fixes = [at(second, spot_km) for second in seconds]
    for fix in fixes:
        fix.speed_mps = speed_mps
    return fixes


def test_who_moves_on_one_spot_for_a_minute_is_frozen() -> None:
    motion = Motion()
    told = [motion.judge(fix) for fix in [at(0), *on_the_spot(*range(40, 180, 20))]]
    assert told == [None, None, None, None, None, "frozen", "frozen", "frozen"]
    assert motion.judge(on_the_spot(200)[0]) == "frozen"
    assert motion.judge(at(220, 1.2)) is None  # it comes free
    assert [motion.judge(fix) for fix in on_the_spot(240, 260, spot_km=1.2)] == [None, None]  # counted anew


@pytest.mark.parametrize("speed_mps", [None, 0, 2.9])
def test_a_vehicle_that_stands_is_not_frozen(speed_mps: float | None) -> None:
    motion = Motion()
    assert {motion.judge(fix) for fix in on_the_spot(*range(0, 3600, 20), speed_mps=speed_mps)} == {None}


def test_neither_many_fixes_in_seconds_nor_few_in_a_minute_are_frozen() -> None:
    motion = Motion()
    assert {motion.judge(fix) for fix in on_the_spot(*range(59))} == {None}
    motion = Motion()
    assert {motion.judge(fix) for fix in on_the_spot(*range(0, 60 * FROZEN_FIXES, 60))} == {None}


def test_what_is_frozen_is_still_so_after_a_restart() -> None:
    fixes = on_the_spot(*range(0, 200, 20))
    whole, stored = [], []
    motion = Motion()
    for fix in fixes:
        whole.append(motion.judge(fix))
        if whole[-1] is None:
            stored.append((fix, False))
    assert Motion(stored[-16:]).judge(at(200, 1)) is None  # the same spot without a speed
    assert Motion(stored[-16:]).judge(on_the_spot(200)[0]) == "frozen"


def test_a_doubted_device_is_not_believed_whatever_it_sends() -> None:
    motion = Motion([(at(0), False)], Doubt(TWO_SENDERS))
    assert [motion.judge(fix) for fix in (at(10), at(20, 300))] == [TWO_SENDERS, TWO_SENDERS]


def test_under_interference_the_false_place_never_becomes_the_true_one() -> None:
    far = at(0, 60)
    assert far.lon is not None
    assert far.lat is not None
    motion = Motion([(at(0), False)], Doubt(INTERFERENCE, Circle(far.lon, far.lat, 5_000)))
    # It would be within reach after a quarter of an hour, and agrees with itself: both do not help it.
    assert {motion.judge(at(second, 60, second / 3_000)) for second in range(60, 7_200, 60)} == {INTERFERENCE}
    assert motion.judge(at(7_200, 3)) is None
    elsewhere = [motion.judge(at(7_200 + second, 500)) for second in range(10, 100, 10)]
    assert elsewhere == ["jump"] * 9
