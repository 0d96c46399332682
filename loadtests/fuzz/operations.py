"""One role's requests to every operation of the OpenAPI document: schemathesis with all of its phases.

Examples, coverage of each constraint, generated requests (right and wrong ones), and chains in which one operation
uses what another answered. Half of the ids in paths are of things there are.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from schemathesis import Case, HookContext, SerializationContext, hooks
from schemathesis.config import SchemathesisConfig
from schemathesis.core.transport import Response
from schemathesis.engine import events, from_schema
from schemathesis.transport.serialization import Binary

from dispatch_api import uploads
from dispatch_api.routes import tracks
from loadtests.fuzz.mending import Mender
from loadtests.fuzz.scene import Badge, Desk

PHASES = ("examples", "coverage", "fuzzing", "stateful")
TIMEOUT_S = 30
ENDS_THE_SESSION = {("DELETE", "/api/v1/session"), ("POST", "/api/v1/session/password")}
EXAMPLES_OF_FAULTS = 3
FILES = (*tracks.MEDIA_TYPES, *uploads.LIMITS)


@dataclass
class Tally:
    """What one role's requests to one operation were answered with."""

    statuses: Counter[int] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)

    @property
    def cases(self) -> int:
        """How many requests there were."""
        return sum(self.statuses.values())


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
    seconds: float = 0.0

    @property
    def cases(self) -> int:
        """How many requests there were."""
        return sum(tally.cases for tally in self.tallies.values())


@dataclass(frozen=True)
class Plan:
    """How much: so many generated cases for each operation, beside those that are enumerated."""

    cases: int
    seed: int
    phases: tuple[str, ...] = PHASES
    deterministic: bool = False
    """The same requests in every run, whatever the seed."""


def run(
    document: dict[str, Any],
    url: str,
    role: str,
    desk: Desk,
    plan: Plan,
    say: Callable[[str], None] | None = None,
    look: Callable[[Found], None] | None = None,
) -> Found:
    """Every operation of the document, as this role; `say` hears of each phase, `look` sees what is found so far."""
    schema = schemathesis.openapi.from_dict(document, config=_config(url, plan))
    found, badge = Found(role), desk.badges[role]
    for media_type in FILES:
        schemathesis.serializer(media_type)(_as_it_is)
    _hook(found, badge, Mender(desk, role, plan.seed))
    began = time.monotonic()
    for event in from_schema(schema).execute():
        match event:
            case events.PhaseStarted() if say and event.phase.name.value in plan.phases:
                say(f"  {role}: {event.phase.name.value} …")
            case events.ScenarioFinished():
                _note(found, event)
                if look:
                    look(found)
            case events.NonFatalError():
                found.errors.append(f"{event.label}: {event.info.format()[:300]}")
            case events.FatalError():
                raise event.exception
    found.seconds = time.monotonic() - began
    return found


def _config(url: str, plan: Plan) -> SchemathesisConfig:
    return SchemathesisConfig.from_dict({
        "seed": plan.seed,
        "base-url": url,
        "continue-on-failure": True,
        "request-timeout": TIMEOUT_S,
        "suppress-health-check": ["all"],
        "auth": {"auto-signup": False},
        "checks": {"enabled": False, "not_a_server_error": {"enabled": True}},
        "generation": {"max-examples": plan.cases, "no-shrink": True, "deterministic": plan.deterministic},
        "phases": {name: {"enabled": name in plan.phases} for name in PHASES},
    })  # fmt: skip


def _as_it_is(context: SerializationContext, value: Any) -> Any:
    """The bytes of a file: what is generated for text, too."""
    content = value.data if isinstance(value, Binary) else value
    return content if isinstance(content, bytes) else str(content).encode("utf-8", "surrogatepass")


def _hook(found: Found, badge: Badge, mender: Mender) -> None:
    """Each request is mended or not, signed by whoever of the role is still signed in, and counted."""
    hooks.unregister_all()

    @schemathesis.hook
    def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
        case.headers.update(badge.headers())
        mender.mend(case, kwargs)

    @schemathesis.hook
    def after_call(context: HookContext, case: Case, response: Response) -> None:
        found.tallies[case.operation.label].statuses[response.status_code] += 1
        found.took_s.append(response.elapsed)
        mender.learn(case, response)
        ended = (case.method, case.path) in ENDS_THE_SESSION and response.status_code < 300
        if ended or response.status_code == 401:
            badge.next()


def _note(found: Found, event: events.ScenarioFinished) -> None:
    """Count the cases by phase, and keep a command for each that failed."""
    recorder = event.recorder
    for key, node in recorder.cases.items():
        operation = node.value.operation.label
        found.tallies[operation].phases[event.phase.value] += 1
        met = recorder.interactions.get(key)
        answer = met.response if met else None
        if answer is not None and answer.status_code < 500:
            continue
        told = "no answer" if answer is None else f"{answer.status_code} {answer.content[:200]!r}"
        if len(found.faults[operation]) < EXAMPLES_OF_FAULTS:
            found.faults[operation].append(f"{told} {node.value.as_curl_command()[:2_000]}")
