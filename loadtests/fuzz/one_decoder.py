"""Fuzz one decoder in this process, by coverage, until its runs are done or it breaks.

`python -m loadtests.fuzz.one_decoder teltonika CORPUS -runs=1000000`; what follows the name is libFuzzer's own.

A decoder may raise its own error and nothing else, and its work may grow with the length of what it is given only.
"""

import contextlib
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import atheris

with atheris.instrument_imports(include=["geo.protocols", "pynmea2"]):
    from geo.protocols import cot, gt06, h02, nmea, receipts, teltonika

from core.errors import TooLarge

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
START_S, PER_KIB_S = 0.01, 0.01
"""Processor time that an input may take, and each KiB of it (F9)."""
TRIES = 5
"""So often is measured again what took too long: the machine may have been busy with something else."""


class TooMuchWork(Exception):
    """An input costs more than its length allows."""


def _teltonika(data: bytes) -> None:
    with contextlib.suppress(receipts.DecodeError):
        teltonika.hello(data)
    with contextlib.suppress(receipts.DecodeError):
        size = teltonika.frame_bytes(data)
        if size is not None and len(data) >= size:
            teltonika.opened(data[:size])
    with contextlib.suppress(receipts.DecodeError):
        teltonika.decode(teltonika.datagram(data).data, NOW)
    if len(data) >= 3:  # what a frame holds at least
        with contextlib.suppress(receipts.DecodeError):
            teltonika.decode(data, NOW)


def _gt06(data: bytes) -> None:
    with contextlib.suppress(receipts.DecodeError):
        for sent in receipts.frames(data, gt06.garbage_bytes, gt06.frame_bytes):
            gt06.opened(sent)
    if data:  # beyond the checksum, which chance does not match
        frame = gt06.Frame(data[0], data[2:], 1, is_long=bool(data[1:2] > b"\x7f"))
        with contextlib.suppress(receipts.DecodeError):
            gt06.decode(frame, NOW, timedelta(hours=2))
        with contextlib.suppress(receipts.DecodeError):
            gt06.login(frame)


def _h02(data: bytes) -> None:
    with contextlib.suppress(receipts.DecodeError):
        for message in receipts.frames(data, h02.garbage_bytes, h02.frame_bytes):
            h02.identifier(message, NOW)
            with contextlib.suppress(receipts.DecodeError):
                h02.decode(message, NOW, 0xFFFFFFFF)


def _nmea(data: bytes) -> None:
    for line in data.decode("ascii", "replace").splitlines():
        nmea.identifier(line)
    held = nmea.settled(data)
    if not 0 <= held <= len(data):
        raise AssertionError(f"{held} of {len(data)} bytes are settled")
    with contextlib.suppress(TooLarge):
        nmea.decode(data, NOW)


def _cot(data: bytes) -> None:
    with contextlib.suppress(cot.DecodeError):
        size = cot.event_bytes(data)
        cot.decode(data[:size], NOW)


DECODERS: dict[str, Callable[[bytes], None]] = {
    "teltonika": _teltonika, "gt06": _gt06, "h02": _h02, "nmea": _nmea, "cot": _cot,
}  # fmt: skip


def bounded(decode: Callable[[bytes], None], data: bytes) -> None:
    """Decode it; raises TooMuchWork, and whatever is no error of the decoder's own."""
    allowed = START_S + PER_KIB_S * len(data) / 1024
    for _ in range(TRIES):
        began = time.process_time()
        decode(data)
        if time.process_time() - began <= allowed:
            return
    raise TooMuchWork(f"{len(data)} bytes take more than {allowed * 1000:.0f} ms, {TRIES} times")


def main() -> None:
    """Let libFuzzer have the process; it ends it."""
    decode = DECODERS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], lambda data: bounded(decode, bytes(data)))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
