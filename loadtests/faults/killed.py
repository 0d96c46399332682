"""F1 and F2: the server and the database killed under load, again and again; what was acknowledged is counted."""

from dataclasses import asdict
from statistics import median
from typing import Any

from loadtests.faults import trial
from loadtests.faults.fault import Fault, Figure, Mutant, Run, zero
from loadtests.faults.stage import Stage
from loadtests.faults.trial import Outcome, Plan

ACKS: dict[trial.Fault, int] = {"F1": 50_000, "F2": 10_000}
"""At least; the writers go on after the last blow until it is reached."""
SHORT: dict[str, Any] = {"acks": 1_000, "kills": 2, "pauses_s": (0.5, 1.5)}
EXAMPLES = 5


def report(outcome: Outcome) -> list[str]:
    """The outcome for people."""
    found, plan = outcome.found, outcome.plan
    lines = [
        f"{plan.fault}, {trial.MEANING[plan.fault]}{f', mutant {plan.mutant}' if plan.mutant else ''};"
        f" seed {plan.seed}, {outcome.seconds:.0f} s",
        f"  {len(outcome.blows)} blows; {outcome.acked} writes acknowledged:"
        f" {', '.join(f'{kind} {n}' for kind, n in outcome.kinds.items())}",
        f"  answers {', '.join(f'{status}: {n}' for status, n in outcome.answers.items())};"
        f" {outcome.replayed} told again, {outcome.gave_up} given up",
    ]
    for name, listed in {**asdict(found), "trouble": outcome.trouble}.items():
        lines += [f"  {name}: {each}" for each in listed[:EXAMPLES]]
        lines += [f"  {name}: and {len(listed) - EXAMPLES} more"] if len(listed) > EXAMPLES else []
    return lines


def _run(fault: trial.Fault, kills: int) -> Run:
    def run(stage: Stage) -> list[Figure]:
        how = SHORT if stage.short else {"acks": ACKS[fault], "kills": kills}
        plan = Plan(fault=fault, seed=stage.seed, mutant=stage.mutant, **how)  # type: ignore[arg-type]
        outcome = trial.run(plan, stage.cluster, stage.say, stage.urls)
        stage.say("\n".join(report(outcome)))
        return figures(outcome, stage)

    return run


def figures(outcome: Outcome, stage: Stage) -> list[Figure]:
    """What was measured."""
    found, plan = outcome.found, outcome.plan
    return [
        Figure("writes acknowledged", outcome.acked, least=plan.acks),
        Figure("blows", len(outcome.blows), least=plan.kills),
        zero("lost", len(found.lost), stage),
        zero("doubled", len(found.doubled), stage),
        zero("made up", len(found.foreign), stage),
        zero("gaps", len(found.gaps), stage),
        zero("wrong", len(found.wrong) + len(outcome.trouble), stage),
        Figure("ready again, median", median(outcome.ready_s or [0]), "s", most=trial.READY_WITHIN_S[plan.fault]),
        Figure("all clients back, median", median(outcome.back_s or [0]), "s", most=trial.BACK_WITHIN_S),
    ]


F1 = Fault(
    "F1",
    "kill -9 of the server under load: acknowledged exists once, unacknowledged at most once, no gap",
    "",
    _run("F1", 20),
    {"ack_before_commit": Mutant("positions are answered before their commit", "lost")},
)
F2 = Fault(
    "F2",
    "kill -9 of every process of PostgreSQL, and restart -m fast: as F1, and the server survives",
    f"at least {ACKS['F2']:,} acknowledged writes for 50,000",
    _run("F2", 10),
    {"asynchronous_commit": Mutant("positions are written with synchronous_commit=off", "lost")},
)
