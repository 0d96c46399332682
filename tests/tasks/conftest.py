"""A dispatcher, a crew on shift, and short words for what they do."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from core import inbox
from core.actor import Actor, Role
from core.work import open_work
from mobile_contract.resources import TaskIn, TransitionIn
from tasks import tasks
from tasks.transitions import transition
from tests.helpers import Crew, actor_of, crew, person

VILNIUS = {"lon": 25.279652, "lat": 54.687157}


@dataclass
class Scene:
    """What most tests of tasks need."""

    engine: AsyncEngine
    dispatcher: Actor
    crew: Crew

    async def draft(self, **fields: Any) -> dict[str, Any]:
        body = {"kind": "checkpoint", "priority": "P2", "title": "Look", "reason_code": "random"} | VILNIUS | fields
        async with open_work(self.engine, self.dispatcher) as work:
            return await tasks.create(work, TaskIn.model_validate(body))

    async def issued(self, **fields: Any) -> dict[str, Any]:
        return await self.draft(**({"unit_id": self.crew.unit.id, "issue": True} | fields))

    async def step(self, actor: Actor, task: dict[str, Any], verb: str, **fields: Any) -> dict[str, Any]:
        async with open_work(self.engine, actor) as work:
            return await transition(work, UUID(task["id"]), TransitionIn(verb=verb, **fields))  # type: ignore[arg-type]

    async def officer(self, task: dict[str, Any], *verbs: str, crew: Crew | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        for verb in verbs:
            answer = await self.step((crew or self.crew).actor, task, verb)
        return answer

    async def centre(self, task: dict[str, Any], verb: str, **fields: Any) -> dict[str, Any]:
        return await self.step(self.dispatcher, task, verb, **fields)

    async def get(self, task: dict[str, Any], actor: Actor | None = None) -> dict[str, Any]:
        async with open_work(self.engine, actor or self.dispatcher) as work:
            return await tasks.get(work, UUID(task["id"]))

    async def events(self, task: dict[str, Any]) -> list[dict[str, Any]]:
        async with open_work(self.engine, self.dispatcher) as work:
            return (await tasks.events(work, UUID(task["id"]), 500, None))[0]

    async def inbox(self, actor: Actor, after: int = 0) -> list[dict[str, Any]]:
        async with open_work(self.engine, actor) as work:
            found: list[dict[str, Any]] = (await inbox.fetch(work, after, 500))["items"]
            return found

    async def ack(self, actor: Actor, upto: int) -> None:
        async with open_work(self.engine, actor) as work:
            await inbox.ack(work, None, upto)

    async def another(self, **unit_fields: Any) -> Crew:
        return await crew(self.engine, **unit_fields)


@pytest_asyncio.fixture
async def scene(engine: AsyncEngine) -> Scene:
    """A dispatcher and one crew on shift."""
    dispatcher = await person(engine, Role.DISPATCHER, name="Dana Dispatcher")
    return Scene(engine, actor_of(dispatcher), await crew(engine))
