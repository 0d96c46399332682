"""The timetable of a replay, without sending: intervals kept, nothing from the future, stale beginnings passed over."""

import gzip
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from dispatch_api.commands.client import Refused
from dispatch_api.commands.recording import Row, beginning, read
from dispatch_api.commands.replay import Schedule
from tests.helpers import BUSES_OF_WARSAW, shared_data

T0 = datetime(2024, 2, 13, 16, 0, tzinfo=UTC).timestamp()
NOW = datetime(2026, 6, 1, 9, 0, tzinfo=UTC).timestamp()
MONTHS = 80 * 86_400
HEADER = "unit,time,lat,lon,line\n"


def rows_of(*offsets: float) -> list[Row]:
    return [Row(T0 + offset, "u", 54.0, 25.0) for offset in offsets]


def test_at_speed_1_each_fix_says_when_it_is_sent() -> None:
    plan = Schedule(T0, T0 + 100, NOW, 1)
    for row in rows_of(0, 12, 100):
        assert plan.sent_at(row) == plan.said_at(row) == NOW + row.at - T0


@pytest.mark.parametrize("speed", [0.1, 0.5, 1, 7, 50, 1_000])
def test_intervals_are_kept_and_nothing_says_more_than_when_it_is_sent(speed: float) -> None:
    rows = rows_of(-MONTHS, 0, 3, 12, 12, 600)
    plan = Schedule(T0, T0 + 600, NOW, speed)
    for a, b in pairwise(rows):
        assert plan.said_at(b) - plan.said_at(a) == pytest.approx(b.at - a.at, abs=1e-3)
        assert plan.sent_at(b) >= plan.sent_at(a)
    assert all(plan.said_at(row) <= plan.sent_at(row) + 1e-3 for row in rows)
    assert plan.sent_at(rows[0]) == NOW  # months older: due at once, and still months older
    assert plan.sent_at(rows[-1]) == pytest.approx(NOW + 600 / speed)
    if speed >= 1:
        assert plan.said_at(rows[-1]) == pytest.approx(plan.sent_at(rows[-1]))


def test_kept_times_are_the_recorded_ones() -> None:
    plan = Schedule(T0, T0 + 60, NOW, 50, keep_times=True)
    assert [plan.said_at(row) for row in rows_of(-MONTHS, 0, 60)] == [T0 - MONTHS, T0, T0 + 60]


def test_the_recording_begins_where_its_minutes_are_full() -> None:
    full = [second for minute in range(5) for second in range(minute * 60, minute * 60 + 60, 3)]
    assert beginning(rows_of(-MONTHS, -3_000, -70, *full)) == T0
    assert beginning(rows_of(*full)) == T0
    assert beginning(rows_of(7)) == T0 + 7


def test_reading(tmp_path: Path) -> None:
    lines = "b,2024-02-13T16:00:05Z,54.1,25.1,9\na,2024-02-13T18:00:00+02:00,54.2,25.2,9\nc,2024-02-13T16:00:05,1,2,\n"
    plain, packed = tmp_path / "r.csv", tmp_path / "r.csv.gz"
    plain.write_text(HEADER + lines)
    packed.write_bytes(gzip.compress((HEADER + lines).encode()))
    assert read(plain) == read(packed)
    rows, left_out = read(plain)
    assert rows == [Row(T0, "a", 54.2, 25.2), Row(T0 + 5, "b", 54.1, 25.1), Row(T0 + 5, "c", 1, 2)]
    assert not left_out
    for text in ("unit,time,lat\n", HEADER, f"{HEADER}a,yesterday,1,2,\n", "a\x00b\n", '"'):
        plain.write_text(text)
        with pytest.raises(Refused):
            read(plain)
    packed.write_bytes(packed.read_bytes()[:-12])
    for torn in (packed, tmp_path / "none.csv"):
        with pytest.raises(Refused):
            read(torn)


def test_a_recording_of_another_make(tmp_path: Path) -> None:
    """A mark of its encoding, other spellings of the columns, speeds with units in their names, and broken lines."""
    good = "a, 2024-02-13T16:00:00Z ,54.2,25.2,12.5,90,\n"
    broken = [
        "a,2024-02-13T16:00:01Z,,25.2,,,", "a,2024-02-13T16:00:01Z,nan,25.2,,,", "a,2024-02-13T16:00:01Z,91,25.2,,,",
        "a,noon,54.2,25.2,,,", ",2024-02-13T16:00:01Z,54.2,25.2,,,", "a,2024-02-13T16:00:01Z", "",
        "a,2024-02-13T16:00:01Z,54.2,25.2,fast,,", f"{'u' * 65},2024-02-13T16:00:01Z,54.2,25.2,,,",
    ]  # fmt: skip
    text = "\ufeffUnit,Time, lat,LON,speed_mps,heading_deg,accuracy_m\r\n" + good + "\r\n".join(broken)
    (tmp_path / "r.csv").write_bytes(text.encode())
    rows, left_out = read(tmp_path / "r.csv")
    assert rows == [Row(T0, "a", 54.2, 25.2, (("speed_mps", 12.5), ("heading_deg", 90.0)))]
    assert left_out.n == len(broken) - 1, "an empty line is none"
    assert left_out.first.startswith("line 3: ")


def test_a_real_recording() -> None:
    """An evening of Warsaw's buses, whose feed repeats positions that are months old."""
    file = shared_data(BUSES_OF_WARSAW, "the timetable is tested with rows of our own only")
    if file is None:
        return
    rows, left_out = read(file)
    assert not left_out
    first = beginning(rows)
    assert rows[0].at < first - 30 * 86_400, "the stale rows at its beginning are what this is about"
    assert datetime.fromtimestamp(first, UTC).date() == datetime(2024, 2, 13, tzinfo=UTC).date()
    stale = sum(row.at < first for row in rows)
    assert 0 < stale < len(rows) * 0.02
    plan = Schedule(first, rows[-1].at, NOW, 60)
    assert all(plan.sent_at(row) == NOW for row in rows[:stale])
    assert plan.sent_at(rows[stale + 100]) > NOW
    assert plan.sent_at(rows[-1]) - NOW == pytest.approx((rows[-1].at - first) / 60)
    assert all(plan.said_at(row) <= plan.sent_at(row) + 1e-3 for row in rows[::97])
