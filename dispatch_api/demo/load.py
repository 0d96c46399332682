"""Loads the demonstration into an empty database, through the same services that serve people."""

import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from casework import stop_forms
from core import inbox, passwords, people
from core.actor import Actor, Role, system
from core.db import utcnow
from core.ids import new_id
from core.models import Office, UserAccount
from core.settings import Settings
from core.work import Work, open_work
from dispatch_api.commands.database import app_engine
from dispatch_api.demo import fortnight, roster, story
from dispatch_api.demo.files import accounts_file, devices_file, write_private
from dispatch_api.demo.world import World
from geo import devices, shifts, units, violation_import
from mobile_contract.resources import GeoPoint, NoticeIn, NoticeTo, TaskIn, TransitionIn
from mobile_contract.stop_forms import StopFormIn
from tasks import notices, tasks, transitions
from web_map.pages import BASEMAP

DAY_TASKS = 34


@dataclass
class Crew:
    """A loaded unit with its first officer."""

    plan: story.CrewPlan
    unit_id: UUID
    officer: Actor


async def run(settings: Settings) -> int:
    """Load the demonstration unless people are in the database already; the exit code."""
    async with app_engine(settings) as engine:
        async with open_work(engine, system("demo")) as work:
            if await work.first(select(func.count()).select_from(UserAccount)):
                print("The database is not empty: nothing loaded.")
                return 0
        world = World.load(BASEMAP)
        accounts = await _accounts(engine)
        people_by_role = {account["role"]: account["actor"] for account in accounts}
        crews = await _crews(engine, world, people_by_role, settings)
        await roster.plan(engine, [crew.unit_id for crew in crews], people_by_role[Role.DISPATCHER])
        await _violations(engine, world, people_by_role[Role.SUPERVISOR])
        await _day(engine, world, crews, people_by_role[Role.DISPATCHER])
        plain = [{name: account[name] for name in ("role", "login", "password")} for account in accounts]
        write_private(accounts_file(settings), plain)
    print(f"{len(crews)} units, {story.VIOLATIONS} violations, {DAY_TASKS} tasks, {len(story.NOTICES)} notices")
    return 0


async def _accounts(engine: AsyncEngine) -> list[dict[str, Any]]:
    """One account per role with a random password."""
    made = []
    async with open_work(engine, system("demo")) as work:
        for role in Role:
            login, password = f"demo-{role.replace('_', '-')}", passwords.one_time()
            name = f"Demo {role.replace('_', ' ')}"
            user, _ = await people.create_user(
                work, login=login, name=name, roles=[role], password=password, four_eyes=False
            )
            made.append({"role": str(role), "login": login, "password": password, "actor": _actor(user)})
    return made


def _actor(user: UserAccount, *unit_ids: UUID) -> Actor:
    roles = frozenset(map(Role, user.roles))
    return Actor(user_id=user.id, login=user.login, name=user.name, roles=roles, unit_ids=frozenset(unit_ids))


async def _crews(engine: AsyncEngine, world: World, accounts: dict[str, Actor], settings: Settings) -> list[Crew]:
    """Offices, units, officers and trackers; those on shift began it this morning. The first crew has the account."""
    crews, keys, trackers, on_duty = [], [], [], set()
    async with open_work(engine, system("demo")) as work:
        offices = {code: Office(code=code, name=name) for code, name, *_ in story.OFFICES}
        work.session.add_all(offices.values())
        await work.session.flush()
        for number, plan in enumerate(story.crews(world)):
            crew = await _officers(work, plan, offices[plan.office].id, accounts[Role.OFFICER] if number == 0 else None)
            values = {
                "call_sign": plan.call_sign, "kind": plan.kind, "capabilities": plan.capabilities,
                "tracking": plan.tracking, "office_id": offices[plan.office].id,
            }  # fmt: skip
            view = await units.create(work, values, [actor.id for actor in crew])
            tracker = {"unit_id": view.unit.id, "protocol": "http", "identifier": plan.call_sign, "interval_s": 10}
            device = (await devices.create(work, [tracker]))[0]
            trackers.append(device["id"])
            if plan.on_shift:
                on_duty.add(device["id"])
            keys.append({"unit_id": str(view.unit.id), "call_sign": plan.call_sign, "key": device["key"],
                         "base": plan.base.at, "officer_id": str(crew[0].id), "manual": number == 0})  # fmt: skip
            lead = crew[0]
            crews.append(Crew(plan, view.unit.id, Actor(lead.user_id, lead.login, lead.name, lead.roles,
                                                        unit_ids=frozenset({view.unit.id}))))  # fmt: skip
        fortnight.remember(work, trackers, on_duty)
    write_private(devices_file(settings), keys)
    await _start_shifts(engine, crews)
    return crews


async def _officers(work: Work, plan: story.CrewPlan, office_id: UUID, account: Actor | None) -> list[Actor]:
    """Two officers; those without an account cannot sign in. Boats that nobody crews have one on call."""
    made = [] if account is None else [account]
    for number, name in list(enumerate(plan.names))[len(made) :]:
        login = f"{plan.call_sign.lower()}.{number + 1}"
        badge_no = f"{plan.call_sign[0]}{plan.call_sign[2:]}{number + 1}"
        user = UserAccount(login=login, name=name, roles=[Role.OFFICER], office_id=office_id, badge_no=badge_no)
        work.session.add(user)
        made.append(_actor(user))
    await work.session.flush()
    return made


async def _start_shifts(engine: AsyncEngine, crews: list[Crew]) -> None:
    random, now = Random(story.SEED + 2), utcnow()
    for crew in crews:
        if crew.plan.on_shift:
            async with open_work(engine, crew.officer) as work:
                at = now - timedelta(hours=7, minutes=random.randrange(50))
                await shifts.start_own(work, crew.unit_id, [], at, {})


async def _violations(engine: AsyncEngine, world: World, supervisor: Actor) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        file.write(story.violations_csv(world, utcnow()))
        file.flush()
        rows, ignored = violation_import.read_ahead(Path(file.name), "text/csv", "demo")
    assert rows is not None  # the year is shorter than what is read at once
    async with open_work(engine, supervisor) as work:
        batch = violation_import.Batch("demo", supervisor.id)
        await violation_import.store_now(work, batch, rows, ignored)


async def _day(engine: AsyncEngine, world: World, crews: list[Crew], dispatcher: Actor) -> None:
    """Tasks of the last six hours, most of them closed, the newest still open; and the day's notices."""
    random, now = Random(story.SEED + 3), utcnow()
    on_duty = [crew for crew in crews if crew.plan.on_shift and crew.plan.kind != "boat"][1:]
    for number in range(DAY_TASKS):
        at = now - timedelta(hours=6) + (timedelta(hours=6) * number / DAY_TASKS)
        await _task(engine, world, random, at, on_duty[number % len(on_duty)], dispatcher, DAY_TASKS - number)
    for number, (kind, priority, headline, body) in enumerate(story.NOTICES):
        async with open_work(engine, dispatcher) as work:
            work.now = now - timedelta(hours=5 - number)
            wanted = NoticeIn(kind=kind, priority=priority, headline=headline, body=body, to=NoticeTo(everyone=True),
                              valid_to=now + timedelta(hours=20))  # fmt: skip
            await notices.send(work, wanted)


async def _task(
    engine: AsyncEngine, world: World, random: Random, at: datetime, crew: Crew, dispatcher: Actor, left: int
) -> None:
    """One task of the day, brought as far as its place in the day says (`left` counts down to the newest)."""
    kind, reason, title, instruction = random.choice(story.TASKS)
    place = min(random.sample([*world.towns, *world.crossings], 12), key=lambda p: _near(p.at, crew.plan.base.at))
    point = GeoPoint(coordinates=(round(random.gauss(place.lon, 0.01), 6), round(random.gauss(place.lat, 0.006), 6)))
    draft = left <= 3
    async with open_work(engine, dispatcher) as work:
        work.now = at
        task = await tasks.create(work, TaskIn(
            kind=kind, priority=random.choice(("P2", "P3", "P3", "P4")), title=title, instruction=instruction,
            reason_code=reason, point=point, address=place.name, required_capabilities=[],
            unit_id=None if draft else crew.unit_id, issue=not draft,
        ))  # fmt: skip
    if draft:
        return
    steps: list[tuple[str, dict[str, Any]]] = [("acknowledge", {}), ("en_route", {}), ("on_scene", {}),
                                               ("complete", {"result": random.choice(story.OUTCOMES)})]  # fmt: skip
    if left == 7:
        steps = [("decline", {"reason_code": "too_far"})]
    for number, (verb, fields) in enumerate(steps[: 4 if left > 9 else random.randint(1, 3)]):
        at = min(at + timedelta(minutes=(1, 2, 14, 25)[number], seconds=random.randrange(50)), utcnow())
        if verb == "complete" and task["form_required"]:
            form = story.stop_form(
                task["id"], reason, (point.coordinates[0], point.coordinates[1]), fields["result"], at
            )
            async with open_work(engine, crew.officer) as work:
                work.now = at
                await stop_forms.record(work, StopFormIn.model_validate(form))
        await _officer_does(engine, crew.officer, UUID(str(task["id"])), at, verb, fields)
    if left > 9:
        async with open_work(engine, dispatcher) as work:
            work.now = min(at + timedelta(minutes=6), utcnow())
            await transitions.transition(work, UUID(str(task["id"])), TransitionIn(verb="close"))


async def _officer_does(
    engine: AsyncEngine, officer: Actor, task_id: UUID, at: datetime, verb: str, fields: dict[str, Any]
) -> None:
    async with open_work(engine, officer) as work:
        work.now = at
        await inbox.ack(work, None, await inbox.head(work))
        command = TransitionIn(id=new_id(), verb=verb, at=at, **fields)
        await transitions.transition(work, task_id, command)


def _near(a: tuple[float, float], b: tuple[float, float]) -> float:
    return (a[0] - b[0]) ** 2 + 4 * (a[1] - b[1]) ** 2
