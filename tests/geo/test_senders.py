"""Two senders with one name: told from a tracker that changes its connection or its address."""

from datetime import UTC, datetime, timedelta

import pytest

from core.ids import new_id
from geo.fix import Fix
from geo.senders import RETURNS, WITHIN, Sender, Senders

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
HERE, THERE = 25.28, 25.9  # 40 km apart


def heard(talk: list[tuple[float, Sender, float]], *, ahead_s: float = 0) -> list[bool]:
    """What is thought after each of (second, sender, where)."""
    senders, device_id, unit_id = Senders(), new_id(), new_id()
    told = []
    for second, sender, lon in talk:
        now = START + timedelta(seconds=second)
        fix = Fix(fix_at=now + timedelta(seconds=ahead_s), lon=lon, lat=54.69)
        told.append(senders.heard(device_id, unit_id, sender, fix, now))
    return told


def test_two_connections_that_take_turns_are_two() -> None:
    turns = [(10.0 * i, i % 2, HERE) for i in range(8)]
    told = heard(turns)
    assert told == [False] * (RETURNS + 1) + [True] * (7 - RETURNS)


def test_a_tracker_that_comes_back_on_new_connections_is_one() -> None:
    assert not any(heard([(10.0 * i, i // 2, HERE) for i in range(60)]))


def test_what_was_still_under_way_on_the_old_connection_is_no_second_sender() -> None:
    assert not any(heard([(0, 1, HERE), (10, 2, HERE), (11, 1, HERE), (20, 2, HERE), (30, 2, HERE), (40, 2, HERE)]))


def test_turns_far_apart_in_time_do_not_count() -> None:
    step = WITHIN.total_seconds() + 1
    assert not any(heard([(step * i, i % 2, HERE) for i in range(8)]))


def test_a_second_connection_that_only_repeats_is_no_second_sender() -> None:
    """Trackers with a second server send everything to both."""
    senders, device_id, unit_id = Senders(), new_id(), new_id()
    for i in range(10):
        now = START + timedelta(seconds=10 * i)
        for connection in (1, 2):
            assert not senders.heard(device_id, unit_id, connection, Fix(fix_at=now, lon=HERE, lat=54.69), now)


@pytest.mark.parametrize(("other", "two"), [(HERE, False), (THERE, True)])
def test_addresses_that_change_are_two_senders_only_at_two_places(other: float, two: bool) -> None:
    addresses = ["192.0.2.1", "198.51.100.7"]
    told = heard([(10.0 * i, addresses[i % 2], (HERE, other)[i % 2]) for i in range(8)])
    assert told[-1] is two
