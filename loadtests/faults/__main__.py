"""Break things under load on purpose, and measure whether every promise was kept (reliability.md 3).

`python -m loadtests.faults [--only F7 …] [--mutant NAME|none] [--short] [--seed N] [--write]`.

Each fault test is run as it is, then, shorter, once with each of its mutants: a server, database or client that breaks
the promise on purpose, and must be found out. What is smaller than in reliability.md is printed as `scaled`. The exit
code is 1 when a bound was missed or a mutant was not found out.
"""

import argparse
import random
import resource
import sys
import time
from collections.abc import Iterable
from typing import NamedTuple

from dispatch_api.process.cluster import Cluster
from loadtests.bench.__main__ import machine, put_table
from loadtests.faults.fault import Fault, Figure
from loadtests.faults.nemesis import Broken
from loadtests.faults.registry import FAULTS
from loadtests.faults.stage import migrate, staged

FILES_WANTED = 16_384


class Result(NamedTuple):
    """One run: its figures, or in words why it broke off."""

    fault: Fault
    mutant: str | None
    figures: list[Figure]
    broken: str
    seconds: float

    @property
    def kept(self) -> bool:
        """Whether every figure is what it must be."""
        return not self.broken and all(figure.holds for figure in self.figures)

    @property
    def good(self) -> bool:
        """Whether the run ended as it should: a mutant must be found out, and by what it does."""
        if self.mutant is None:
            return self.kept
        shows_in = self.fault.mutants[self.mutant].shows_in
        return any(figure.what == shows_in and not figure.holds for figure in self.figures)


def play(fault: Fault, cluster: Cluster, arguments: argparse.Namespace, mutant: str | None) -> Result:
    """Run one fault test, with a mutant in its short form."""
    does = f", mutant {mutant}: {fault.mutants[mutant].does}" if mutant else f": {fault.statement}"
    title = f"{fault.name}{does}"
    print(f"\n{title}", flush=True)
    if not mutant:
        print(f"  scaled: {'--short' if arguments.short else fault.scaled or 'nothing'}", flush=True)
    began, figures, broken = time.monotonic(), [], ""
    with staged(cluster, _say, seed=arguments.seed, short=arguments.short or bool(mutant), mutant=mutant) as stage:
        try:
            figures = fault.run(stage)
        except Broken as failure:
            broken = str(failure)
    result = Result(fault, mutant, figures, broken, time.monotonic() - began)
    for figure in figures:
        print(f"  {'  ' if figure.holds else '✗ '}{figure.what:52} {figure.shown:>12}  {figure.bound}", flush=True)
    verdict = ("found out" if result.good else "NOT FOUND OUT") if mutant else ("kept" if result.kept else "NOT KEPT")
    print(f"  {verdict} in {result.seconds:.0f} s{f': {broken}' if broken else ''}", flush=True)
    return result


def _say(line: str) -> None:
    print(f"  {line}", flush=True)


def table(results: Iterable[Result]) -> list[str]:
    """Rows of Markdown: each figure with its bound, and each mutant."""
    rows = ["| | | measured | must be |", "|---|---|---:|---|"]
    for result in results:
        name = result.fault.name
        if result.mutant:
            verdict = "found out" if result.good else "**not found out**"
            rows.append(f"| {name} | mutant `{result.mutant}` | {verdict} | |")
            continue
        rows.append(f"| **{name}** | **{result.fault.statement}** | {result.broken} | |")
        for figure in result.figures:
            missed = "" if figure.holds else " **missed**"
            rows.append(f"| | {figure.what} | {figure.shown} | {figure.bound}{missed} |")
    return rows


def _wanted(arguments: argparse.Namespace) -> list[tuple[Fault, str | None]]:
    """What the command line asks for: everything, faults by name, or one mutant alone."""
    if arguments.mutant and arguments.mutant != "none":
        return [(fault, arguments.mutant) for fault in FAULTS.values() if arguments.mutant in fault.mutants]
    chosen = [FAULTS[name] for name in arguments.only or FAULTS]
    return [
        (fault, mutant) for fault in chosen for mutant in (None, *(fault.mutants if arguments.mutant != "none" else ()))
    ]


def main() -> int:
    """Run and print; 1 when a promise was broken, kept too slowly, or a mutant was not found out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(FAULTS))
    mutants = [mutant for fault in FAULTS.values() for mutant in fault.mutants]
    parser.add_argument("--mutant", choices=[*mutants, "none"], help="this one alone; none: no mutants")
    parser.add_argument("--short", action="store_true", help="a quick look: fewer of everything")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    arguments = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES_WANTED:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, FILES_WANTED), hard))
    began = time.monotonic()
    print(f"seed {arguments.seed}; making a database …", flush=True)
    with Cluster.temporary() as cluster:
        migrate(cluster)
        results = [play(fault, cluster, arguments, mutant) for fault, mutant in _wanted(arguments)]
    rows = table(results)
    print("\n" + "\n".join(rows))
    if arguments.write:
        command = f"python -m loadtests.faults {' '.join(sys.argv[1:])}".replace(" --write", "").strip()
        put_table("faults", [f"{machine()}; `{command}`, seed {arguments.seed}.", "", *rows])
    bad = [result for result in results if not result.good]
    print(f"\n{len(results)} runs in {(time.monotonic() - began) / 60:.1f} min; not as they must be: {len(bad)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
