"""Who fuzzes and what is there to be found: people of each role, and one of everything that a path can name."""

import itertools
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from core import sign_in
from core.actor import Role, system
from core.db import utcnow
from core.ids import new_id
from core.models import RoleGrant, UserAccount
from core.work import open_work
from geo.models import ShiftMember, UnitMember
from loadtests.faults.scene import Crew, crews

API = "/api/v1"
ROLES = ("anonymous", "device", *(role.value for role in Role))
SPARE_SESSIONS = 40
OF_EACH = 3
PLACE = {"lon": 25.3, "lat": 54.7}


class Badge:
    """What one role shows at the door; another when the one before is no longer taken."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = itertools.cycle(tokens) if tokens else None
        self.token = next(self._tokens) if self._tokens else None

    def headers(self) -> dict[str, str]:
        """The Authorization, if any."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def next(self, after: str | None) -> None:
        """Signed out, disabled or shut out by its own requests: the next person of the role goes on, once for each."""
        if self._tokens and self.token == after:
            self.token = next(self._tokens)


@dataclass
class Desk:
    """Badges by role, and ids by the name that paths have for them."""

    badges: dict[str, Badge]
    ids: dict[str, list[str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """What the bodies of tests/dispatch_api/hostile_cases.py call things by."""
    versions: dict[str, int] = field(default_factory=dict)
    """Of what has any, by id."""
    device_key: str = ""

    @property
    def secrets(self) -> list[str]:
        """What requests of a tracker or phone show in their bodies and queries."""
        return [self.device_key, *filter(None, [self.names.get("credential")])]


async def furnish(
    engine: AsyncEngine, url: str, sessions: int = SPARE_SESSIONS, over: httpx.AsyncBaseTransport | None = None
) -> Desk:
    """People, and everything there is, made through the API; `over` reaches one in this process."""
    first, second = await crews(engine, 2)
    badges = {"anonymous": Badge([]), "device": Badge([first.device_key])}
    for role in Role:
        tokens = await _tokens(engine, role, sessions, first)
        badges[role.value] = Badge([first.officer_token, *tokens] if role is Role.OFFICER else tokens)
    desk = Desk(badges, device_key=first.device_key)
    async with httpx.AsyncClient(base_url=url + API, timeout=300, transport=over) as http:
        await _fill(http, desk, first, second)
    desk.ids["grant_id"] = await _proposals(engine)
    return desk


async def _proposals(engine: AsyncEngine) -> list[str]:
    """Roles that wait for an administrator other than the one who proposed them, each for another person."""
    async with open_work(engine, system("fuzz")) as work:
        people = [UserAccount(login=f"waiting-{new_id().hex}", name="Fuzz", roles=[]) for _ in range(OF_EACH + 1)]
        work.session.add_all(people)
        await work.session.flush()
        proposer, *others = people
        grants = [RoleGrant(user_id=each.id, roles=["dispatcher"], proposed_by=proposer.id) for each in others]
        work.session.add_all(grants)
        return [str(each.id) for each in grants]


async def _tokens(engine: AsyncEngine, role: Role, sessions: int, crew: Crew) -> list[str]:
    """Sessions of as many people, officers among them of this crew: one who is disabled does not stop the rest."""
    async with open_work(engine, system("fuzz")) as work:
        people = [
            UserAccount(login=f"{role.value}-{new_id().hex}", name="Fuzz", roles=[role.value]) for _ in range(sessions)
        ]
        work.session.add_all(people)
        await work.session.flush()
        if role is Role.OFFICER:
            work.session.add_all([UnitMember(unit_id=crew.unit_id, user_id=each.id) for each in people])
            work.session.add_all([ShiftMember(shift_id=crew.shift_id, user_id=each.id) for each in people])
        return [(await sign_in.open_session(work, each)).token for each in people]


async def _fill(http: httpx.AsyncClient, desk: Desk, first: Crew, second: Crew) -> None:
    unit, now = str(first.unit_id), utcnow()
    desk.ids = {
        "unit_id": [unit, str(second.unit_id)],
        "device_id": [str(first.device_id), str(second.device_id)],
        "user_id": [str(second.officer_id), str(second.dispatcher_id)],
    }
    desk.names = {"unit": unit, "other": str(second.unit_id), "device": str(first.device_id),
                  "user": str(second.officer_id), "login": "nobody"}  # fmt: skip
    task = {"kind": "checkpoint", "priority": "P4", "title": "t", "reason_code": "random", **PLACE}
    issued = task | {"unit_id": unit, "issue": True}
    notice = {"kind": "information", "priority": "P4", "headline": "h", "to": {"units": [unit]}}
    violation = {"category": "fuel", "occurred_at": now.isoformat(), "coord_source": "gps", **PLACE}
    shift = {"unit_id": str(second.unit_id), "members": [str(second.officer_id)],
             "from": (now + timedelta(days=1)).isoformat(), "to": (now + timedelta(days=2)).isoformat()}  # fmt: skip
    form = {"reason_code": "random", "first_stopped_at": now.isoformat(), "coord_source": "gps", **PLACE,
            "control_types": ["documentary"], "result": "nothing_found"}  # fmt: skip
    run = {"from": (now - timedelta(days=90)).isoformat(), "to": now.isoformat(), "horizon_days": 30, "cell_m": 250,
           "area_share": 0.01}  # fmt: skip
    made = partial(_made, http, desk)
    await made("office_id", "administrator", "/offices", {"code": new_id().hex[-8:], "name": "x"}, "office")
    for _ in range(OF_EACH):
        await made("task_id", "dispatcher", "/tasks", task, "draft")
        await made("task_id", "dispatcher", "/tasks", issued, "issued")
        await made("notice_id", "dispatcher", "/notices", notice, "older")
        await made("notice_id", "dispatcher", "/notices", notice, "notice")
        await made("handover_id", "dispatcher", "/handovers", {"note": "n"}, "handover")
        await made("violation_id", "officer", "/violations", violation, "violation")
        await made("hold_id", "investigator", "/holds", {"kind": "unit", "object_id": unit, "reason": "r"}, "hold")
        await made("run_id", "supervisor", "/hotspot-runs", run, "run")
        task_id = {"task_id": desk.names["issued"]}
        await made("attachment_id", "officer", "/attachments", _file() | task_id, "attachment")
        await made("form_id", "officer", "/stop-forms", form | task_id, "form")
        await made("phone_id", "officer", "/phones", {"app": "traccar"}, "phone")
        await made("install_id", "officer", "/installs", {"id": str(new_id()), "name": "t", "pin": "1234"}, "install")
    await made("shift_id", "dispatcher", "/shifts", shift, "planned")
    await made("panic_id", "officer", "/panic", {"id": str(new_id()), "at": now.isoformat(), **PLACE}, "panic")
    alerts = await http.get("/alerts", headers=desk.badges["dispatcher"].headers())
    desk.ids["alert_id"] = [each["id"] for each in alerts.json()["items"]]


def _file() -> dict[str, Any]:
    return {"id": str(new_id()), "name": "a.jpg", "media_type": "image/jpeg", "size": 9, "sha256": "ab" * 32}


async def _made(
    http: httpx.AsyncClient, desk: Desk, ids: str, role: str, path: str, body: dict[str, Any], name: str
) -> None:
    answer = await http.post(path, json=body, headers=desk.badges[role].headers())
    if answer.status_code not in (201, 202):
        raise RuntimeError(f"{path} was refused: {answer.status_code} {answer.text}")
    told = answer.json()
    desk.names |= {key: told[key] for key in ("credential",) if key in told} | {name: str(told["id"])}
    desk.versions |= {str(told["id"]): told["version"]} if "version" in told else {}
    desk.ids.setdefault(ids, []).append(str(told["id"]))
