"""The decoders under generated input, short: `make faults` runs a million of each (loadtests/fuzz/decoders.py)."""

import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from loadtests.fuzz import decoders

pytest.importorskip("atheris", reason="atheris is built for x86-64 alone")
from loadtests.fuzz import one_decoder

RUNS = 2_000


@pytest.mark.parametrize("name", decoders.NAMES)
def test_nothing_else_is_raised_and_work_is_bounded(name: str) -> None:
    assert decoders.fuzz(name, RUNS, seed=7) is None


def test_a_fuzzer_that_does_not_run_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "seeds", lambda _: [b"x"])
    assert "KeyError" in (decoders.fuzz("none", 10, seed=7) or "")


def test_too_much_work_is_noticed() -> None:
    def busy(data: bytes) -> None:
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass

    with pytest.raises(one_decoder.TooMuchWork):
        one_decoder.bounded(busy, b"x")
    one_decoder.bounded(busy, bytes(8_192))


def steps(work: Callable[[], Any]) -> int:
    """How many lines of the decoders are run."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if "/geo/protocols/" not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("name", ["gt06", "h02", "nmea"])
def test_work_grows_as_the_input_does(name: str) -> None:
    end = b"\r\n" if name == "nmea" else b""
    block = end.join(decoders.seeds(name)) + end + b"xx$*,\\" * 20 + end
    once, eight_times = (steps(lambda n=n: one_decoder.DECODERS[name](block * n)) for n in (1, 8))
    assert once > 100
    assert eight_times < 8 * once * 1.1
