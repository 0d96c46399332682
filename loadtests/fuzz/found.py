"""What a role's requests were answered with."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from loadtests.fuzz.sending import Answer

PHASES = ("examples", "coverage", "fuzzing", "stateful")
EXAMPLES_OF_FAULTS = 3


@dataclass
class Tally:
    """What one role's requests to one operation were answered with."""

    statuses: Counter[int] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)

    @property
    def cases(self) -> int:
        """How many requests there were."""
        return self.phases.total()


@dataclass
class Found:
    """One role's run: tallies by operation, faults, and how long answers took."""

    role: str
    tallies: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Server errors and cut connections by operation, as commands that repeat them."""
    errors: list[str] = field(default_factory=list)
    """What kept a part of the run from being run at all."""
    took_s: list[float] = field(default_factory=list)

    @property
    def cases(self) -> int:
        """How many requests there were."""
        return sum(tally.cases for tally in self.tallies.values())

    def note(self, operation: str, phase: str, answer: Answer, command: Callable[[], str]) -> None:
        """Count an answer, and keep how to repeat what it was to when it is a fault."""
        tally = self.tallies[operation]
        tally.phases[phase] += 1
        tally.statuses[answer.status] += 1
        self.took_s.append(answer.seconds)
        if answer.faulty:
            self.fault(operation, f"{answer.status or 'no answer'} {answer.content[:200]!r} {command()}")

    def fault(self, operation: str, told: str) -> None:
        """Keep the first few of each operation."""
        if len(self.faults[operation]) < EXAMPLES_OF_FAULTS:
            self.faults[operation].append(told)

    def add(self, other: "Found") -> None:
        """What another process found, too."""
        for operation, tally in other.tallies.items():
            self.tallies[operation].statuses += tally.statuses
            self.tallies[operation].phases += tally.phases
        for operation, told in other.faults.items():
            for each in told:
                self.fault(operation, each)
        self.errors += other.errors
        self.took_s += other.took_s
