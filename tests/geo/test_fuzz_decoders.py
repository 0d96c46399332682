"""The decoders under generated input, short: `make faults` runs a million of each (loadtests/fuzz/decoders.py)."""

import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from loadtests.fuzz import decoders

pytest.importorskip("atheris", reason="atheris is built for x86-64 alone")
from geo.protocols import gt06, receipts
from loadtests.fuzz import one_decoder
from tests.geo.teltonika_frames import data, record

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


def sent(name: str, n: int) -> bytes:
    """Of so many parts: a stream of messages, a frame of records, or an event with details."""
    if name == "teltonika":
        io = {21: (3, 1), 66: (12_000, 2), 239: (1, 1)}
        return data(*(record(0x8E, io=io, texts={385: b"abc"}) for _ in range(n)), codec=0x8E)
    if name == "cot":
        detail = b'<contact callsign="V"/><track course="90" speed="10"/><x><y z="1">text</y></x>'
        head, end = b'<event uid="A" type="a-f-G"><point lat="1" lon="2"/><detail>', b"</detail></event>"
        return head + detail * n + end
    line_end = b"\r\n" if name == "nmea" else b""
    good = [seed for seed in decoders.seeds(name) if name != "gt06" or is_gt06(seed)]  # a damaged one ends the stream
    return (line_end.join(good) + line_end + b"xx$*,\\" * 20 + line_end) * n


def is_gt06(seed: bytes) -> bool:
    try:
        return gt06.frame_bytes(seed) == len(seed) and bool(gt06.opened(seed))
    except receipts.DecodeError:
        return False


@pytest.mark.parametrize(("name", "n"), [("teltonika", 20), ("gt06", 1), ("h02", 1), ("nmea", 1), ("cot", 50)])
def test_work_grows_as_the_input_does(name: str, n: int) -> None:
    once, eight_times = (steps(lambda n=n: one_decoder.DECODERS[name](sent(name, n))) for n in (n, 8 * n))
    assert once > 100
    assert eight_times < 8 * once * 1.1
