"""What a person at the terminal reads while Outrider starts, runs and stops."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class CannotStart(Exception):
    """Outrider cannot start; the message is one sentence of what is wrong, and one of what to do."""


class Interrupted(Exception):
    """Somebody asked to stop while Outrider was starting."""


def say(line: str = "") -> None:
    """Print a line; a terminal that has gone away is no reason to fail."""
    with suppress(OSError, ValueError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


@contextmanager
def step(number: int, of: int, name: str) -> Iterator[None]:
    """Name a step when it begins and print its seconds when it is done."""
    label = f"[{number}/{of}] {name}"
    began = time.monotonic()
    with suppress(OSError, ValueError):
        sys.stdout.write(f"{label} … ")
        sys.stdout.flush()
    try:
        yield
    except BaseException:
        say("stopped")
        raise
    say(f"{time.monotonic() - began:.1f} s")
