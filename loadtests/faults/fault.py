"""What a fault test is: its statement, what it measured against which bounds, and the mutants that must turn it red."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import wraps

from loadtests.faults.stage import Stage


@dataclass(frozen=True)
class Figure:
    """One thing that was measured, and what it must be."""

    what: str
    measured: float
    unit: str = ""
    most: float | None = None
    least: float | None = None

    @property
    def holds(self) -> bool:
        """Whether it is what it must be."""
        return (self.most is None or self.measured <= self.most) and (self.least is None or self.measured >= self.least)

    @property
    def bound(self) -> str:
        """The bound in words; empty where there is none."""
        wanted = [f"≥ {self.least:g}"] if self.least is not None else []
        wanted += [f"≤ {self.most:g}"] if self.most is not None else []
        return ", ".join(wanted)

    @property
    def shown(self) -> str:
        """The figure for people."""
        number = f"{self.measured:,.0f}".replace(",", " ") if abs(self.measured) >= 1_000 else f"{self.measured:.3g}"
        return f"{number} {self.unit}".rstrip()


def told(figures: list[Figure]) -> int:
    """Print them as a table; 1 when one is not what it must be, else 0."""
    print("\n| | measured | must be |\n|---|---:|---|")
    for figure in figures:
        print(f"| {figure.what} | {figure.shown} | {figure.bound}{'' if figure.holds else ' **missed**'} |")
    return 0 if all(figure.holds for figure in figures) else 1


@dataclass(frozen=True)
class Mutant:
    """A server, database or client that breaks the promise on purpose."""

    does: str
    shows_in: str
    """The figure that must miss its bound: a slow machine, which makes others do so, finds nothing out."""


Run = Callable[[Stage], list[Figure]]


@dataclass(frozen=True)
class Fault:
    """One row of reliability.md 3. Each of its `mutants` must be found out."""

    name: str
    statement: str
    scaled: str
    """What is smaller here than there; empty where nothing is."""
    run: Run
    mutants: dict[str, Mutant] = field(default_factory=dict)


def on_a_loop(play: Callable[[Stage], Coroutine[None, None, list[Figure]]]) -> Run:
    """A fault test that is played on an event loop of its own, in the calling (main) thread."""

    @wraps(play)
    def run(stage: Stage) -> list[Figure]:
        return asyncio.run(play(stage))

    return run


def zero(what: str, listed: list[str] | int, stage: Stage) -> Figure:
    """A count that must be none; the first of what was counted are said."""
    if isinstance(listed, list):
        for each in listed[:5]:
            stage.say(f"    {what}: {each}")
    return Figure(what, listed if isinstance(listed, int) else len(listed), most=0)
