"""Of a unit's trackers that are at two places: which is believed, from when on, and until when."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from geo.apart import Place, Report, apart

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HERE, THERE = 25.3, 25.9  # 38 km apart


def report(
    number: int, lon: float, *, before: float | None = None, ago: timedelta = timedelta(), protocol: str = "http",
    since: datetime | None = None, jumps: int = 0, is_doubted: bool = False,
) -> Report:  # fmt: skip
    newest = Place(NOW - ago, lon, 54.7)
    earlier = Place(NOW - ago - MINUTE, lon if before is None else before, 54.7)
    return Report(UUID(int=number), protocol, since, jumps, is_doubted, newest, earlier)


def doubted(*reports: Report) -> list[int]:
    return [one.device_id.int for one in apart(reports)]


def test_one_or_those_together_are_not_apart() -> None:
    assert doubted() == []
    assert doubted(report(1, HERE)) == []
    assert doubted(report(1, HERE), report(2, HERE + 0.1)) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"protocol": "teltonika"}),
        ({}, {"protocol": "nmea"}),
        ({}, {"jumps": 3}),
        ({}, {"is_doubted": True}),
        ({}, {"since": NOW - MINUTE}),
        ({"since": NOW - 2 * MINUTE}, {"since": NOW - MINUTE}),
        ({"protocol": "gt06"}, {"jumps": 1}),
        ({"jumps": 5}, {"is_doubted": True}),
    ],
)
def test_of_two_the_one_with_more_for_it_is_believed(first: dict[str, object], second: dict[str, object]) -> None:
    for a, b in ((1, 2), (2, 1)):  # whatever their ids
        assert doubted(report(a, HERE, **first), report(b, THERE, **second)) == [b]  # type: ignore[arg-type]


def test_the_most_are_believed_whatever_they_are() -> None:
    two = (report(1, HERE, protocol="h02", jumps=2), report(2, HERE + 0.01, is_doubted=True))
    assert doubted(*two, report(3, THERE)) == [3]


def test_the_first_place_after_a_start_tells_nothing() -> None:
    assert doubted(report(1, HERE), report(2, THERE, before=HERE)) == []


def test_a_doubted_one_is_believed_again_when_it_is_back_and_not_on_the_way() -> None:
    on_the_way, back = HERE + 0.2, HERE + 0.1  # 13 and 6 km
    assert doubted(report(1, HERE), report(2, on_the_way, before=THERE, is_doubted=True)) == [2]
    assert doubted(report(1, HERE), report(2, back, before=THERE, is_doubted=True)) == []


def test_the_way_since_the_older_of_two_fixes_is_not_held_against_them() -> None:
    assert doubted(report(1, HERE), report(2, THERE, ago=6 * MINUTE)) == []
