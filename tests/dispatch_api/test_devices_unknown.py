"""Strangers at the gateway: refused, listed, and registered in one step, forgotten or ignored."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
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
from tests.helpers import Client, eventually, free_port


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"teltonika_port": free_port()})


@pytest_asyncio.fixture
async def lines(settings: Settings) -> AsyncIterator[Lines]:
    async with gateway(settings) as running:
        yield running


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


async def test_what_a_traccar_server_forwards_unregistered_is_listed_and_welcome_once_registered(
    fleet: Fleet, client: Client
) -> None:
    _, headers = await client.new(Role.ADMINISTRATOR)
    unit_id = await fleet.unit("always")

    async def made(**body: Any) -> dict[str, Any]:
        body = {"unit_id": str(unit_id), "protocol": "traccar"} | body
        answer = await client.http.post("/api/v1/devices", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def forwarded(key: str, identifier: str) -> dict[str, Any]:
        at = now().isoformat()
        position = {"fixTime": at, "deviceTime": at, "valid": True, "latitude": 54.7, "longitude": 25.3}
        body = {"device": {"uniqueId": identifier}, "position": position}
        answer = await client.http.post("/ingest/traccar", json=body, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def listed() -> list[str]:
        answer = await client.http.get("/api/v1/devices/unknown", headers=headers)
        return sorted(each["identifier"] for each in answer.json()["items"] if each["protocol"] == "traccar")

    async def register(identifier: str) -> httpx.Response:
        body = {"protocol": "traccar", "identifier": identifier, "unit_id": str(unit_id)}
        return await client.http.post("/api/v1/devices/unknown/register", json=body, headers=headers)

    forwarder, phone = await made(), await made(protocol="osmand")
    for _ in range(2):
        assert (await forwarded(forwarder["key"], "fox-1"))["rejected"][0]["code"] == "field"
    for hidden in ("", "\0", "x" * 129):
        await forwarded(forwarder["key"], hidden)
    await forwarded(phone["key"], "no forwarder")

    async def is_listed() -> bool:
        return await listed() == ["fox-1"]

    await eventually(is_listed)
    answer = await register("fox-1")
    assert answer.status_code == 201, answer.text
    assert (await forwarded(forwarder["key"], "fox-1"))["accepted"] == 1
    assert await listed() == []
    assert [row["lat"] for row in await fleet.track(UUID(answer.json()["id"]))] == [54.7]

    successor = await made()
    assert (await forwarded(successor["key"], "fox-1"))["accepted"] == 0
    await eventually(is_listed)
    again = await register("fox-1")
    assert (again.status_code, again.json()["id"]) == (201, answer.json()["id"]), "the same device, by another way"
    assert (await forwarded(successor["key"], "fox-1"))["accepted"] == 1

    await forwarded(successor["key"], "fox-2")
    await eventually(listed)
    await client.http.post(f"/api/v1/devices/{successor['id']}/revoke", headers=headers)
    assert (await register("fox-2")).status_code == 409
