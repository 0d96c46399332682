"""Who fuzzes and what is there to be found: people of each role, and one of everything that a path can name."""

import itertools
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from core import sign_in
from core.actor import Role, system
from core.db import utcnow
from core.ids import new_id
from core.models import UserAccount
from core.work import open_work
from loadtests.faults.scene import Crew, crews

API = "/api/v1"
ROLES = ("anonymous", "device", "officer", "dispatcher", "supervisor", "administrator", "auditor")
SPARE_SESSIONS = 40
PLACE = {"lon": 25.3, "lat": 54.7}


class Badge:
    """What one role shows at the door; another when the one before is no longer taken."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = itertools.cycle(tokens) if tokens else None
        self.token = next(self._tokens) if self._tokens else None

    def headers(self) -> dict[str, str]:
        """The Authorization, if any."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def next(self) -> None:
        """Signed out, disabled or shut out by its own requests: the next person of the role goes on."""
        if self._tokens:
            self.token = next(self._tokens)


@dataclass
class Desk:
    """Badges by role, and ids by the name that paths have for them."""

    badges: dict[str, Badge]
    ids: dict[str, list[str]] = field(default_factory=dict)


async def furnish(engine: AsyncEngine, url: str, sessions: int = SPARE_SESSIONS) -> Desk:
    """People, and everything there is, made through the API."""
    first, second = await crews(engine, 2)
    badges = {"anonymous": Badge([]), "device": Badge([first.device_key])}
    for role in Role:
        tokens = await _tokens(engine, role, sessions)
        badges[role.value] = Badge([first.officer_token, *tokens] if role is Role.OFFICER else tokens)
    desk = Desk(badges)
    async with httpx.AsyncClient(base_url=url + API, timeout=30) as http:
        await _fill(http, desk, first, second)
    return desk


async def _tokens(engine: AsyncEngine, role: Role, sessions: int) -> list[str]:
    """Sessions of as many people: one who is disabled does not stop the rest."""
    async with open_work(engine, system("fuzz")) as work:
        people = [
            UserAccount(login=f"{role.value}-{new_id().hex}", name="Fuzz", roles=[role.value]) for _ in range(sessions)
        ]
        work.session.add_all(people)
        await work.session.flush()
        return [(await sign_in.open_session(work, each)).token for each in people]


async def _fill(http: httpx.AsyncClient, desk: Desk, first: Crew, second: Crew) -> None:
    unit, now = str(first.unit_id), utcnow()
    task = {"kind": "checkpoint", "priority": "P4", "title": "t", "reason_code": "random", **PLACE}
    notice = {"kind": "information", "priority": "P4", "headline": "h", "to": {"units": [unit]}}
    violation = {"category": "fuel", "occurred_at": now.isoformat(), "coord_source": "gps", **PLACE}
    shift = {"unit_id": str(second.unit_id), "members": [str(second.officer_id)],
             "from": (now + timedelta(days=1)).isoformat(), "to": (now + timedelta(days=2)).isoformat()}  # fmt: skip
    file = {"name": "a.jpg", "media_type": "image/jpeg", "size": 9, "sha256": "ab" * 32}
    desk.ids = {
        "unit_id": [unit, str(second.unit_id)],
        "device_id": [str(first.device_id), str(second.device_id)],
        "user_id": [str(second.officer_id), str(second.dispatcher_id)],
    }
    makings: list[tuple[str, str, str, dict[str, Any]]] = [
        ("task_id", "dispatcher", "/tasks", task),
        ("task_id", "dispatcher", "/tasks", task | {"unit_id": unit, "issue": True}),
        ("notice_id", "dispatcher", "/notices", notice),
        ("violation_id", "officer", "/violations", violation),
        ("shift_id", "dispatcher", "/shifts", shift),
        ("hold_id", "investigator", "/holds", {"kind": "unit", "object_id": unit, "reason": "r"}),
        ("install_id", "officer", "/installs", {"id": str(new_id()), "name": "tablet", "pin": "1234"}),
    ]
    for name, role, path, body in makings:
        desk.ids.setdefault(name, []).append(await _made(http, desk, role, path, body))
    attached = file | {"id": str(new_id()), "task_id": desk.ids["task_id"][1]}
    desk.ids["attachment_id"] = [await _made(http, desk, "officer", "/attachments", attached)]


async def _made(http: httpx.AsyncClient, desk: Desk, role: str, path: str, body: dict[str, Any]) -> str:
    answer = await http.post(path, json=body, headers=desk.badges[role].headers())
    if answer.status_code != 201:
        raise RuntimeError(f"{path} was refused: {answer.status_code} {answer.text}")
    return str(answer.json()["id"])
