"""Requests of every role to the operations of an OpenAPI document: schemathesis with all of its phases.

Examples, coverage of each constraint, and generated requests (right and wrong ones) do not depend on who asks: each is
generated once and sent as every role. Chains, in which one operation uses what another answered, are each role's own.
Half of the ids in paths are of things there are.
"""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from unittest.mock import patch

import hypothesis
import requests
import schemathesis
from hypothesis import Phase
from requests.structures import CaseInsensitiveDict
from schemathesis import Case, HookContext, SerializationContext, hooks
from schemathesis.config import SchemathesisConfig
from schemathesis.core.transport import Response
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import CaseNode, Interaction, ScenarioRecorder
from schemathesis.schemas import BaseSchema
from schemathesis.transport.requests import REQUESTS_TRANSPORT
from schemathesis.transport.serialization import Binary

from dispatch_api import uploads
from dispatch_api.routes import tracks
from loadtests.fuzz.found import PHASES, Found
from loadtests.fuzz.mending import Mender, spare
from loadtests.fuzz.scene import Desk
from loadtests.fuzz.sending import SHOWN, TIMEOUT_S, Answer, Ready, Sender

STATEFUL = "stateful"
ENDS_THE_SESSION = {("DELETE", "/api/v1/session"), ("POST", "/api/v1/session/password")}
FILES = (*tracks.MEDIA_TYPES, *uploads.LIMITS)
OF_A_REQUEST = {"method", "url", "headers", "files", "data", "json", "params", "auth", "cookies"}


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
    roles: Sequence[str],
    desk: Desk,
    plan: Plan,
    keep: Callable[[Ready], None] | None = None,
) -> list[Found]:
    """Every operation of the document, as each role; `keep` gets one role's request of each generated case."""
    for media_type in FILES:
        schemathesis.serializer(media_type)(_as_it_is)
    everybody = [_Asker(role, desk, plan.seed) for role in roles]
    if generated := [phase for phase in plan.phases if phase != STATEFUL]:
        with Sender(url) as sender:
            transport = _Everybody(sender, everybody, keep)
            with patch.object(REQUESTS_TRANSPORT, "send", transport.send), _only_generating():
                _play(_schema(document, url, plan, generated), everybody[0].found)
    if STATEFUL in plan.phases:
        for asker in everybody:
            _hook(asker)
            _play(_schema(document, url, plan, [STATEFUL]), asker.found)
            hooks.unregister_all()
    return [asker.found for asker in everybody]


def _schema(document: dict[str, Any], url: str, plan: Plan, phases: Sequence[str]) -> BaseSchema:
    config = SchemathesisConfig.from_dict({
        "seed": plan.seed,
        "base-url": url,
        "continue-on-failure": True,
        "request-timeout": TIMEOUT_S,
        "suppress-health-check": ["all"],
        "auth": {"auto-signup": False},
        "checks": {"enabled": False, "not_a_server_error": {"enabled": True}},
        "generation": {"max-examples": plan.cases, "no-shrink": True, "deterministic": plan.deterministic},
        "phases": {name: {"enabled": name in phases} for name in PHASES},
    })  # fmt: skip
    return schemathesis.openapi.from_dict(document, config=config)


@contextmanager
def _only_generating() -> Iterator[None]:
    """Without hypothesis's search for requests that are answered with 2xx, which cost four times what all else did."""
    before = hypothesis.settings.get_current_profile_name()
    hypothesis.settings.register_profile("fuzz", phases=[Phase.explicit, Phase.generate])
    hypothesis.settings.load_profile("fuzz")
    yield
    hypothesis.settings.load_profile(before)


def _play(schema: BaseSchema, found: Found) -> None:
    """Let schemathesis do its phases, and note what could not be run or was not answered."""
    for event in from_schema(schema).execute():
        match event:
            case events.ScenarioFinished():
                for node, met in _met(event.recorder):
                    if met is None or met.response is None:
                        found.tallies[node.value.operation.label].phases[event.phase.value] += 1
                        found.fault(node.value.operation.label, f"no answer {node.value.as_curl_command()[:SHOWN]}")
            case events.NonFatalError():
                found.errors.append(f"{event.label}: {event.info.format()[:300]}")
            case events.FatalError():
                raise event.exception


def _met(recorder: ScenarioRecorder) -> Iterator[tuple[CaseNode, Interaction | None]]:
    for key, node in recorder.cases.items():
        yield node, recorder.interactions.get(key)


def _as_it_is(context: SerializationContext, value: Any) -> Any:
    """The bytes of a file: what is generated for text, too."""
    content = value.data if isinstance(value, Binary) else value
    return content if isinstance(content, bytes) else str(content).encode("utf-8", "surrogatepass")


class _Asker:
    """One role: what it shows, how it mends, and what it found."""

    def __init__(self, role: str, desk: Desk, seed: int) -> None:
        self.found, self.badge, self.mender = Found(role), desk.badges[role], Mender(desk, role, seed)

    def signed(self, request: Ready) -> Ready:
        """The request with what this role shows at the door."""
        return replace(request, headers=request.headers | self.badge.headers())

    def heard(self, answer: Answer, method: str, path: str, token: str | None) -> None:
        """Learn from it, and let the next person of the role go on when this one is out."""
        self.mender.learn(path, answer.status, answer.content)
        if ((method, path) in ENDS_THE_SESSION and 200 <= answer.status < 300) or answer.status == 401:
            self.badge.next(token)


class _Everybody:
    """In place of schemathesis's transport: sends each case as every role, and says at once that all is well."""

    def __init__(self, sender: Sender, everybody: Sequence[_Asker], keep: Callable[[Ready], None] | None) -> None:
        self._sender, self._everybody, self._keep = sender, everybody, keep
        self._turns, self._chance = itertools.cycle(everybody), random.Random(0)

    def send(self, case: Case, **kwargs: Any) -> Response:
        """What schemathesis calls."""
        kwargs.pop("session", None)
        kept = next(self._turns)
        spare(case, self._chance)
        phase = case.meta.phase.name.value if case.meta else ""
        plain = _ready(case, phase, None, kwargs)
        for asker in self._everybody:
            request = plain
            if asker.mender.mends(phase):
                twin = _twin(case)
                request = _ready(twin, phase, asker.mender.mend(twin, phase), kwargs)
            request = asker.signed(request)
            heard = partial(self._heard, asker, request, case.path, asker.badge.token)
            self._sender.send(request, heard)
            if self._keep and asker is kept:
                self._keep(request)
        return Response(204, {}, b"", requests.Request("GET", "http://x").prepare(), 0.0, verify=False)

    def _heard(self, asker: _Asker, request: Ready, path: str, token: str | None, answer: Answer) -> None:
        asker.found.note(request.operation, request.phase, answer, partial(request.command, self._sender.url))
        asker.heard(answer, request.method, path, token)


def _twin(case: Case) -> Case:
    """A case of its own with the same content."""
    return Case(
        case.operation, case.method, case.path, path_parameters=dict(case.path_parameters or {}),
        headers=CaseInsensitiveDict(case.headers or {}), cookies=dict(case.cookies or {}), query=dict(case.query or {}),
        body=case.body, media_type=case.media_type, multipart_content_types=case.multipart_content_types,
    )  # fmt: skip


def _ready(case: Case, phase: str, content: bytes | None, kwargs: dict[str, Any]) -> Ready:
    """As it goes out; `content` stands in place of the case's own body."""
    instead = {} if content is None else {"data": content}
    data = REQUESTS_TRANSPORT.serialize_case(case, **kwargs, **instead) | instead
    made = requests.Request(**{name: value for name, value in data.items() if name in OF_A_REQUEST}).prepare()
    body = made.body.encode() if isinstance(made.body, str) else made.body
    return Ready(case.operation.label, phase, made.method or "", made.path_url, dict(made.headers), body)


def _hook(asker: _Asker) -> None:
    """For chains, which schemathesis sends itself: each is mended or not, signed, and counted."""
    chance = random.Random(0)

    @schemathesis.hook
    def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
        case.headers.update(asker.badge.headers())
        spare(case, chance)
        if asker.mender.mends(STATEFUL) and (content := asker.mender.mend(case, STATEFUL)) is not None:
            kwargs["data"] = content

    @schemathesis.hook
    def after_call(context: HookContext, case: Case, response: Response) -> None:
        answer = Answer(response.status_code, response.content, response.elapsed)
        asker.found.note(case.operation.label, STATEFUL, answer, lambda: case.as_curl_command()[:SHOWN])
        asker.heard(answer, case.method, case.path, asker.badge.token)
