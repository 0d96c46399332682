"""Progress of a command: one line that is rewritten on a terminal, a line every ten seconds elsewhere."""

import sys
import time

REFRESH_S = 0.2
LOG_EVERY_S = 10.0


class Progress:
    """Shows what is being counted; cheap enough to call for each item."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._next = 0.0
        self._wide = 0

    def show(self, what: str, n: int, of: int, more: str = "") -> None:
        """`n` of `of` are done."""
        now = time.monotonic()
        if now < self._next and n != of:
            return
        self._next = now + (REFRESH_S if self._terminal else LOG_EVERY_S)
        line = f"{what}  {n:,} of {of:,}  {n / max(of, 1):.0%}  {more}"
        print(f"\r{line:<{self._wide}}" if self._terminal else line, end="" if self._terminal else "\n", flush=True)
        self._wide = len(line)

    def done(self) -> None:
        """End the line."""
        if self._terminal and self._wide:
            print()
        self._wide = 0
