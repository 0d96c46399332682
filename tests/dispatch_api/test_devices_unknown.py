"""Strangers at the gateway: refused, listed, and registered in one step, forgotten or ignored."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from core.actor import Role
from core.ids import new_id
from core.settings import Settings
from dispatch_api.gateway.line import Lines
from dispatch_api.gateway.server import gateway
from tests.dispatch_api.gateway_trackers import REFUSED, Tracker, datagram, imeis
from tests.geo.fleet import Fleet, now
from tests.geo.teltonika_frames import data, frame, hello, packet, record
from tests.helpers import Client, Database, eventually, free_port


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"teltonika_port": free_port()})


@pytest_asyncio.fixture
async def lines(settings: Settings) -> AsyncIterator[Lines]:
    async with gateway(settings) as running:
        yield running


@pytest_asyncio.fixture
async def fleet(database: Database) -> AsyncIterator[Fleet]:
    db = await database.owner()
    yield Fleet(db)
    await db.close()


async def test_an_unknown_device_is_refused_listed_and_welcome_once_registered(
    lines: Lines, fleet: Fleet, settings: Settings, client: Client
) -> None:
    stranger = Tracker(fleet, settings, next(imeis), UUID(int=0), UUID(int=0))
    for _ in range(2):
        async with stranger.connected() as wire:
            assert await wire.say(hello(stranger.imei), 2) == REFUSED, "and the connection is ended"
    assert await datagram(settings, packet(stranger.imei, data(record())), wanted=False) == b""
    _, headers = await client.new(Role.ADMINISTRATOR)

    async def listed() -> list[dict[str, Any]]:
        answer = await client.http.get("/api/v1/devices/unknown", headers=headers)
        return [each for each in answer.json()["items"] if each["identifier"] == stranger.imei]

    async def all_three() -> bool:
        return sum(each["n"] for each in await listed()) == 3

    await eventually(all_three)
    (found,) = await listed()
    assert (found["protocol"], found["address"]) == ("teltonika", "127.0.0.1")
    unit_id = await fleet.unit()
    await fleet.shift(unit_id, now() - timedelta(days=1))
    body = {"protocol": "teltonika", "identifier": stranger.imei, "unit_id": str(unit_id)}
    made = await client.http.post("/api/v1/devices/unknown/register", json=body, headers=headers)
    assert (made.status_code, made.json()["unit_id"]) == (201, str(unit_id)), made.text
    async with stranger.known() as wire:
        assert await wire.say(frame(now())) == b"\0\0\0\1"
    assert await listed() == []


async def test_a_stranger_is_forgotten_until_it_knocks_again_or_ignored_for_good(
    lines: Lines, fleet: Fleet, settings: Settings, client: Client
) -> None:
    stranger = Tracker(fleet, settings, next(imeis), UUID(int=0), UUID(int=0))
    _, headers = await client.new(Role.ADMINISTRATOR)
    body = {"protocol": "teltonika", "identifier": stranger.imei}

    async def knock() -> None:
        async with stranger.connected() as wire:
            assert await wire.say(hello(stranger.imei), 2) == REFUSED

    async def is_listed(**query: Any) -> bool:
        answer = await client.http.get("/api/v1/devices/unknown", params=query, headers=headers)
        return stranger.imei in [each["identifier"] for each in answer.json()["items"]]

    async def put_aside(how: str) -> int:
        return (await client.http.post(f"/api/v1/devices/unknown/{how}", json=body, headers=headers)).status_code

    assert await put_aside("forget") == 404
    await knock()
    await eventually(is_listed)
    assert await put_aside("forget") == 204
    assert not await is_listed()
    await knock()
    await eventually(is_listed)
    assert await put_aside("ignore") == 204
    assert not await is_listed()
    assert await is_listed(ignored=True)
    assert await put_aside("forget") == 204
    assert not await is_listed(ignored=True)
    unregistered = body | {"unit_id": str(new_id())}
    refused = await client.http.post("/api/v1/devices/unknown/register", json=unregistered, headers=headers)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "unit_id")
