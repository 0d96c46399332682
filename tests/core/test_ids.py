"""Ids of one process ascend, whoever asks and whatever the clock does; a fork's are its own."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from uuid import RFC_4122, UUID

import pytest

from core import ids
from core.ids import new_id

MANY = 100_000


def ascend(made: list[UUID]) -> bool:
    return all(before < after for before, after in pairwise(made))


def ms_of(made: UUID) -> int:
    return made.int >> 80


def test_a_hundred_thousand_made_in_a_row_ascend_and_tell_their_time() -> None:
    before_ms = time.time_ns() // 1_000_000
    made = [new_id() for _ in range(MANY)]
    assert ascend(made)
    assert all(one.version == 7 and one.variant == RFC_4122 for one in made)
    assert before_ms <= ms_of(made[0]) <= ms_of(made[-1]) <= time.time_ns() // 1_000_000 + 1


def test_those_of_several_threads_are_all_distinct_and_ascend_in_each() -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: [new_id() for _ in range(MANY // 4)], range(4)))
    assert all(map(ascend, made))
    assert len(set().union(*made)) == MANY


def test_they_ascend_while_the_clock_stands_or_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first, now_ns = new_id(), time.time_ns()
    for clock_ns in (now_ns, now_ns - 3_600 * 10**9):
        monkeypatch.setattr(time, "time_ns", lambda clock_ns=clock_ns: clock_ns)
        made = [first, *(new_id() for _ in range(1_000))]
        assert ascend(made)
        first = made[-1]
    steps = {after.int - before.int for before, after in pairwise(made)}
    assert len(steps) > 990, "nobody can tell the next from the one before"


def test_a_millisecond_that_is_used_up_borrows_from_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000)
    last = new_id()
    monkeypatch.setattr(ids._ids, "_tail", (1 << ids._TAIL_BITS) - 1)
    assert ms_of(new_id()) == ms_of(last) + 1
    assert ascend([last, new_id()])


def test_a_fork_makes_none_of_its_parents() -> None:
    new_id()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:  # pragma: no cover
        os.write(writing, b"".join(new_id().bytes for _ in range(1_000)))
        os._exit(0)
    mine = {new_id().bytes for _ in range(1_000)}
    assert os.waitpid(child, 0)[1] == 0
    theirs = os.read(reading, 16_000)
    os.close(reading)
    os.close(writing)
    assert len(theirs) == 16_000
    assert not mine & {theirs[n : n + 16] for n in range(0, 16_000, 16)}


def test_a_fork_does_not_wait_for_a_lock_that_a_thread_of_its_parent_held() -> None:
    with ids._ids._lock:
        child = os.fork()
        if not child:  # pragma: no cover
            new_id()
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
