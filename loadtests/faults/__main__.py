"""Kill the server (F1) and the database (F2) under load, again and again, and count what was acknowledged.

`python -m loadtests.faults [--acks 20000] [--kills N] [--only F1|F2] [--short] [--seed N] [--json]`.

Sixteen clients write positions, violations, tasks and officers' steps; each acknowledgement is on disk before it
counts; what fails is sent again with the same id. Afterwards everything acknowledged must be there once, nothing
twice, and every inbox without a gap. `--mutant` breaks that on purpose: then the exit code must be 1, as whenever a
promise was broken.
"""

import argparse
import json
import random
import sys
from dataclasses import asdict
from statistics import median
from typing import Any

from dispatch_api.process.cluster import Cluster
from loadtests.faults import trial
from loadtests.faults.nemesis import Broken
from loadtests.faults.trial import Fault, Outcome, Plan

ACKS = 20_000
KILLS: dict[Fault, int] = {"F1": 20, "F2": 10}
SHORT: dict[str, Any] = {"acks": 1_000, "kills": 2, "pauses_s": (0.5, 1.5)}
MUTANTS: dict[str, Fault] = {"ack_before_commit": "F1", "asynchronous_commit": "F2"}
"""The fault that shows each."""
EXAMPLES = 5


def plans(arguments: argparse.Namespace) -> list[Plan]:
    """What the command line asks for."""
    only = MUTANTS.get(arguments.mutant, arguments.only)
    given = {name: value for name in ("acks", "kills") if (value := getattr(arguments, name)) is not None}
    made = []
    for fault in [only] if only else KILLS:
        how = SHORT if arguments.short else {"acks": ACKS, "kills": KILLS[fault]}
        made.append(Plan(fault=fault, seed=arguments.seed, mutant=arguments.mutant, **how | given))
    return made


def report(outcome: Outcome) -> list[str]:
    """The outcome for people."""
    found, plan = outcome.found, outcome.plan
    lines = [
        f"{plan.fault}, {trial.MEANING[plan.fault]}{f', mutant {plan.mutant}' if plan.mutant else ''};"
        f" seed {plan.seed}, {outcome.seconds:.0f} s",
        f"  {len(outcome.blows)} blows; {outcome.acked} writes acknowledged:"
        f" {', '.join(f'{kind} {n}' for kind, n in outcome.kinds.items())}",
        f"  lost {len(found.lost)}, doubled {len(found.doubled)}, made up {len(found.foreign)}, gaps {len(found.gaps)},"
        f" wrong {len(found.wrong) + len(outcome.trouble)}",
        f"  answers {', '.join(f'{status}: {n}' for status, n in outcome.answers.items())};"
        f" {outcome.replayed} told again, {outcome.gave_up} given up",
        f"  ready after {_times(outcome.ready_s)}, all clients back after {_times(outcome.back_s)} more",
    ]
    for name, listed in {**asdict(found), "trouble": outcome.trouble, "too slow": outcome.slow}.items():
        lines += [f"  {name}: {each}" for each in listed[:EXAMPLES]]
        lines += [f"  {name}: and {len(listed) - EXAMPLES} more"] if len(listed) > EXAMPLES else []
    return [*lines, "  every promise was kept" if outcome.kept else "  A PROMISE WAS BROKEN"]


def _times(seconds: list[float]) -> str:
    return f"{median(seconds):.1f} s (at most {max(seconds):.1f})" if seconds else "-"


def main() -> int:
    """Run and print; 1 when a promise was broken, or kept too slowly."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--acks", type=int, help=f"acknowledged writes to reach in each; {ACKS} unless said")
    parser.add_argument("--kills", type=int, help=f"blows to strike in each; {KILLS} unless said")
    parser.add_argument("--only", choices=list(KILLS))
    parser.add_argument("--short", action="store_true", help=f"a quick look: {SHORT}")
    parser.add_argument("--mutant", choices=list(MUTANTS))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--json", action="store_true", help="figures as JSON; progress goes to standard error")
    arguments = parser.parse_args()
    if arguments.mutant and arguments.only not in {None, MUTANTS[arguments.mutant]}:
        parser.error(f"{arguments.mutant} shows in {MUTANTS[arguments.mutant]}")
    outcomes = []

    def progress(line: str) -> None:
        print(line, file=sys.stderr if arguments.json else sys.stdout, flush=True)

    progress(f"seed {arguments.seed}; making a database …")
    with Cluster.temporary() as cluster:
        trial.migrate(cluster)
        try:
            for plan in plans(arguments):
                outcomes.append(trial.run(plan, cluster, progress))
                progress("\n".join(report(outcomes[-1])))
        except Broken as broken:
            progress(f"A PROMISE WAS BROKEN: {broken}")
            return 1
    if arguments.json:
        print(json.dumps([outcome.figures() for outcome in outcomes], default=str))
    return 0 if all(outcome.kept and not outcome.slow for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
