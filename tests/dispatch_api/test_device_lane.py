"""The device lane over the whole application: what trackers send and exactly what they are answered."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest_asyncio

from core.actor import Role
from dispatch_api.device_lane import HANDLERS
from tests.geo.fleet import Fleet, now
from tests.helpers import Client, Server, eventually

URL, OSMAND = "/api/v1/positions", "/ingest/osmand"
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Tracker:
    """One device on duty, and how it speaks to the server."""

    def __init__(self, http: httpx.AsyncClient, fleet: Fleet, crew: tuple[UUID, UUID, str]) -> None:
        self.http, self.fleet = http, fleet
        self.unit_id, self.device_id, self.key = crew
        self.headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}

    async def post(self, body: Any, **headers: str) -> httpx.Response:
        """Post a body: bytes as they are, anything else as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.http.post(URL, content=content, headers=self.headers | headers)

    async def fixes(self, *fixes: Any) -> dict[str, Any]:
        """Post fixes; the answer."""
        answer = await self.post({"fixes": list(fixes)})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def track(self) -> list[Any]:
        """What is stored."""
        return await self.fleet.track(self.device_id)


@pytest_asyncio.fixture
async def tracker(client: Client, fleet: Fleet) -> Tracker:
    return Tracker(client.http, fleet, await fleet.crew())


def fix(at: datetime | str | None = None, **fields: Any) -> dict[str, Any]:
    moment = (at or now()).isoformat() if not isinstance(at, str) else at
    return {"fix_at": moment, "lat": 54.69, "lon": 25.28} | fields


def counts(**given: Any) -> dict[str, Any]:
    return {"accepted": 0, "duplicates": 0, "off_duty": 0, "suspect": 0, "rejected": []} | given


async def test_accepted_means_stored(tracker: Tracker) -> None:
    at = now()
    assert await tracker.fixes(fix(at, speed_mps=3, id="0191", whatever={"a": [1]})) == counts(accepted=1)
    (row,) = await tracker.track()
    assert (row["fix_at"], row["unit_id"], row["speed_mps"]) == (at, tracker.unit_id, 3)
    assert await tracker.fixes(fix(at, lat=10)) == counts(duplicates=1)
    assert await tracker.fixes() == counts()


async def test_each_fix_is_accounted_for(tracker: Tracker) -> None:
    at = now()
    answer = await tracker.fixes(
        fix(at), fix(at), fix(at + SECOND, lat=91), fix(at - 45 * DAY), fix(at + 2 * SECOND, lat=0, lon=0),
        fix("2026-01-01T00:00:00"), fix(at + 3 * SECOND, battery_pct=101),
        fix(at + 4 * SECOND, lat=55.69), fix(at - 35 * DAY),
    )  # fmt: skip
    rejected = [(each["index"], each["code"]) for each in answer.pop("rejected")]
    assert rejected == [(2, "lat"), (5, "time"), (6, "number")]
    # On shift since 40 days: one is before, one is merely old; 0/0 and the leap of 111 km are suspect too.
    assert answer == {"accepted": 4, "duplicates": 1, "off_duty": 1, "suspect": 3}
    assert len(await tracker.track()) == 4


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"lat": None}, "lat"), ({"lat": "54"}, "lat"), ({"lat": 2**63}, "lat"), ({"lat": True}, "lat"),
    ({"lon": -180.001}, "lon"), ({"lon": [25]}, "lon"),
    ({"fix_at": None}, "time"), ({"fix_at": 1767225600}, "time"), ({"fix_at": "2026-01-01T00:00:00"}, "time"),
    ({"fix_at": "0001-01-01T00:00:00+14:00"}, "time"), ({"fix_at": "9999-12-31T23:59:59-12:00"}, "time"),
    ({"fix_at": "1969-12-31T23:59:59Z"}, "time"), ({"fix_at": "2199-01-01T00:00:00Z"}, "time"),
    ({"fix_at": "2026-02-30T00:00:00Z"}, "time"), ({"fix_at": "\x00"}, "time"), ({"fix_at": "\ud800"}, "time"),
    ({"accuracy_m": -1}, "number"), ({"speed_mps": 10**30}, "number"), ({"heading_deg": 361}, "number"),
    ({"satellites": 2**63}, "number"), ({"satellites": 1.5}, "number"), ({"altitude_m": "high"}, "number"),
    ({"event": 5}, "field"), ({"event": "a\x00"}, "field"), ({"event": "\udc80"}, "field"),
    ({"event": "x" * 201}, "field"),
]  # fmt: skip


async def test_a_wrong_field_rejects_its_fix_alone(tracker: Tracker) -> None:
    at = now() - HOUR
    for n, (fields, code) in enumerate(WRONG):
        moment = at + n * 10 * SECOND
        answer = await tracker.fixes(fix(moment), fix(moment + SECOND) | fields, fix(moment + 2 * SECOND))
        (rejected,) = answer.pop("rejected")
        assert (rejected["index"], rejected["code"]) == (1, code), fields
        assert rejected["detail"]
        assert answer["accepted"] == 2
    assert len(await tracker.track()) == 2 * len(WRONG)


async def test_overflowing_numbers_and_things_that_are_no_fix(tracker: Tracker) -> None:
    whole = json.dumps({"fixes": [3, None, "x", [], {}, fix(lat=1)]}).replace('"lat": 1,', '"lat": 1e400,')
    answer = await tracker.post(whole.encode())
    assert answer.status_code == 200
    codes = [rejected["code"] for rejected in answer.json()["rejected"]]
    assert codes == ["field"] * 4 + ["time", "lat"]
    assert await tracker.track() == []


REFUSED: list[tuple[bytes, int, str]] = [
    (b"", 400, "malformed"), (b"{", 400, "malformed"), (b"\xff\xfe", 400, "malformed"),
    (b'{"fixes":[{"lat":NaN}]}', 400, "malformed"), (b'{"fixes":[]} x', 400, "malformed"),
    (b'{"fixes":' + b"[" * 100_000, 400, "malformed"),
    (b'{"fixes":[{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}", 400, "malformed"),
    (b'{"fixes":[{"lat":' + b"9" * 5_000 + b"}]}", 400, "malformed"),
    (b"[]", 422, "invalid"), (b"null", 422, "invalid"), (b"{}", 422, "invalid"), (b'{"fixes":{}}', 422, "invalid"),
    (b'{"fixes":null}', 422, "invalid"), (b'{"fixes":[' + b"{}," * 1_000 + b"{}]}", 413, "too_large"),
    (b'{"fixes":[]' + b" " * (1 << 20) + b"}", 413, "too_large"),
]  # fmt: skip


async def test_bodies_that_are_refused_whole(tracker: Tracker) -> None:
    for body, status, code in REFUSED:
        answer = await tracker.post(body)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), body[:50]
        problem = answer.json()
        assert (problem["status"], problem["code"], problem["type"]) == (status, code, f"urn:outrider:{code}")
    assert await tracker.track() == []


async def test_a_thousand_fixes_are_one_batch(tracker: Tracker) -> None:
    at = now() - HOUR
    answer = await tracker.fixes(*(fix(at + n * SECOND) for n in range(1_000)))
    assert answer == counts(accepted=1_000)


async def test_of_a_thousand_with_three_bad_ones_997_are_stored_and_the_three_are_named(tracker: Tracker) -> None:
    at, bad = now() - HOUR, {3: {"lat": 91}, 500: {"lon": 200}, 999: {"fix_at": "yesterday"}}
    answer = await tracker.fixes(*(fix(at + n * SECOND) | bad.get(n, {}) for n in range(1_000)))
    assert (answer["accepted"], len(await tracker.track())) == (997, 997)
    assert [(one["index"], one["code"]) for one in answer["rejected"]] == [(3, "lat"), (500, "lon"), (999, "time")]


async def test_strangers_are_refused(tracker: Tracker) -> None:
    for key in (None, b"", b"Bearer", b"Bearer ", b"Bearer od_wrong", b"Basic od_wrong", b"Bearer \xe9\x7f"):
        headers = [] if key is None else [(b"authorization", key)]
        answer = await tracker.http.post(URL, json={"fixes": [fix()]}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "bad_device_key"), key
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_other_media_are_refused(tracker: Tracker) -> None:
    answer = await tracker.post({"fixes": [fix()]}, **{"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["code"]) == (415, "media_type")
    for accepted in ("application/json; charset=utf-8", "application/json"):
        assert (await tracker.post({"fixes": [fix()]}, **{"Content-Type": accepted})).status_code == 200


async def test_a_device_writes_for_itself_only(tracker: Tracker) -> None:
    other_unit, other_device, other_key = await tracker.fleet.crew()
    theirs = {"device_id": str(other_device), "unit_id": str(other_unit), "id": other_key}
    answer = await tracker.post({"fixes": [fix(**theirs)], **theirs})
    assert answer.json()["accepted"] == 1
    assert (await tracker.track())[0]["unit_id"] == tracker.unit_id
    assert await tracker.fleet.track(other_device) == []


async def test_refusals_carry_the_headers_of_every_other_route(tracker: Tracker) -> None:
    mine = await tracker.http.post(URL, headers={"Authorization": "Bearer od_no"})
    theirs = await tracker.http.get("/api/v1/me")
    assert theirs.status_code == mine.status_code == 401
    assert set(theirs.headers) - {"x-request-id"} == set(mine.headers)
    assert {name: mine.headers[name] for name in mine.headers if name != "content-length"} == {
        name: value for name, value in theirs.headers.items() if name not in {"content-length", "x-request-id"}
    }
    assert set(mine.json()) == set(theirs.json())
    accepted = await tracker.post({"fixes": []})
    assert (accepted.headers["x-content-type-options"], accepted.headers["cache-control"]) == ("nosniff", "no-store")


async def test_other_methods_are_not_the_lanes(tracker: Tracker) -> None:
    assert (await tracker.http.get(URL)).status_code == 405
    assert (await tracker.http.put(OSMAND)).status_code == 405


async def test_the_lanes_routes_are_in_the_openapi_document(client: Client) -> None:
    from dispatch_api.routes import ingest

    known = {(route.path, method) for route in ingest.router.routes for method in route.methods}  # type: ignore[attr-defined]
    assert known == set(HANDLERS)


async def test_a_shift_ends_and_a_key_dies_at_once(client: Client, tracker: Tracker) -> None:
    _, admin = await client.new(Role.ADMINISTRATOR)
    _, dispatcher = await client.new(Role.DISPATCHER)
    assert (await tracker.fixes(fix()))["accepted"] == 1
    shifts = (await client.http.get("/api/v1/shifts?active=true", headers=dispatcher)).json()["items"]
    shift = next(each for each in shifts if each["unit_id"] == str(tracker.unit_id))
    ended = await client.http.post(f"/api/v1/shifts/{shift['id']}/end", json={}, headers=dispatcher)
    assert ended.status_code == 200, ended.text
    assert await tracker.fixes(fix(now() + SECOND)) == counts(off_duty=1)
    assert (await tracker.fixes(fix(now() - MINUTE)))["accepted"] == 1
    rotated = await client.http.post(f"/api/v1/devices/{tracker.device_id}/rotate-key", json={}, headers=admin)
    assert rotated.status_code == 200, rotated.text
    assert (await tracker.post({"fixes": []})).status_code == 401
    tracker.headers["Authorization"] = f"Bearer {rotated.json()['key']}"
    assert (await tracker.post({"fixes": []})).status_code == 200
    revoked = await client.http.post(f"/api/v1/devices/{tracker.device_id}/revoke", json={}, headers=admin)
    assert revoked.status_code == 200, revoked.text
    assert (await tracker.post({"fixes": []})).status_code == 401


# OsmAnd and Traccar Client


async def test_osmand_in_all_three_forms(tracker: Tracker) -> None:
    at = now().replace(microsecond=0) - MINUTE
    fields = {"id": tracker.key, "lat": "54.69", "lon": "25.28", "speed": "10", "timestamp": str(int(at.timestamp()))}
    asked = await tracker.http.get(OSMAND, params=fields)
    later = fields | {"timestamp": str(int(at.timestamp()) + 1)}
    form = await tracker.http.post(OSMAND, data=later)
    posted = await tracker.http.post(OSMAND, params=fields | {"timestamp": str(int(at.timestamp()) + 2)})
    coords = {"latitude": 54.69, "longitude": 25.28, "speed": 10}
    location = {"timestamp": (at + 3 * SECOND).isoformat(), "coords": coords, "battery": {"level": 0.5}}
    traccar = await tracker.http.post(OSMAND, json={"device_id": tracker.key, "location": location})
    for answer in (asked, form, posted, traccar):
        assert (answer.status_code, answer.content) == (200, b"")
    track = await tracker.track()
    assert [row["fix_at"] for row in track] == [at + n * SECOND for n in range(4)]
    assert [round(row["speed_mps"], 3) for row in track] == [5.144, 5.144, 5.144, 10]
    assert track[-1]["battery_pct"] == 50


async def test_osmand_without_a_time_was_taken_now(tracker: Tracker) -> None:
    await tracker.http.get(OSMAND, params={"deviceid": tracker.key, "lat": 54.69, "lon": 25.28})
    (row,) = await tracker.track()
    assert row["fix_at"] == row["received_at"] or abs(row["fix_at"] - datetime.now(UTC)) < 10 * SECOND


async def test_osmand_does_not_know_strangers(tracker: Tracker) -> None:
    strangers: list[dict[str, str]] = [{}, {"id": "od_wrong"}, {"id": "123456"}, {"lat": "1"}]
    for params in strangers:
        for answer in (
            await tracker.http.get(OSMAND, params=params),
            await tracker.http.post(OSMAND, data=params),
            await tracker.http.post(OSMAND, json={"device_id": params.get("id", ""), "location": {}}),
        ):
            assert (answer.status_code, answer.content) == (404, b"")


async def test_osmand_never_refuses_a_known_device_for_what_it_sent(tracker: Tracker) -> None:
    for fields in ({"lat": "91"}, {"lat": "x"}, {"timestamp": "soon"}, {"lon": "nan"}):
        answer = await tracker.http.get(OSMAND, params={"id": tracker.key, "lat": "1", "lon": "2"} | fields)
        assert (answer.status_code, answer.content) == (200, b"")
    assert await tracker.track() == []


async def test_osmand_refuses_what_it_cannot_read(tracker: Tracker) -> None:
    headers = {"Content-Type": "application/json"}
    for body, status in ((b"{", 400), (b"[]", 400), (b'{"device_id":NaN}', 400), (b'"' + b"x" * 70_000 + b'"', 413)):
        answer = await tracker.http.post(OSMAND, content=body, headers=headers)
        assert answer.status_code == status


async def test_no_fix_and_signs_of_life_move_nothing(tracker: Tracker) -> None:
    query = {"id": tracker.key, "lat": "54.69", "lon": "25.28", "valid": "0", "batt": "44"}
    assert (await tracker.http.get(OSMAND, params=query)).status_code == 200
    beat = {"device_id": tracker.key, "location": {"timestamp": now().isoformat(), "event": "heartbeat"}}
    assert (await tracker.http.post(OSMAND, json=beat)).status_code == 200
    (row,) = await tracker.track()
    assert (row["suspect"], row["battery_pct"]) == ("no_fix", 44)
    assert row["point"] is not None, "the last known place, as telemetry"
    assert await tracker.fleet.latest(tracker.unit_id) is None


# Over a real socket


async def test_a_huge_body_is_refused_early_and_the_server_lives(server: Server, fleet: Fleet) -> None:
    _, device_id, key = await fleet.crew()

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b" " * (1 << 20)

    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        assert (await http.post(URL, content=endless(), headers=headers)).status_code == 413
        assert (await http.post(URL, json={"fixes": [fix()]}, headers=headers)).json()["accepted"] == 1
    assert len(await fleet.track(device_id)) == 1


async def test_another_process_hears_of_a_revoked_key_and_logs_none(server: Server, fleet: Fleet) -> None:
    _, device_id, key = await fleet.crew()
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=server.url) as http:

        async def status() -> int:
            return (await http.post(URL, json={"fixes": []}, headers=headers)).status_code

        async def revoke() -> None:
            await fleet.db.execute(
                "UPDATE device SET revoked_at = now(), updated_at = clock_timestamp() WHERE id = $1", device_id
            )

        async def refused() -> bool:
            return await status() == 401

        assert await status() == 200
        assert (await http.get(OSMAND, params={"id": key, "lat": 54.69, "lon": 25.28})).status_code == 200
        await http.get(OSMAND, params={"id": "od_stranger_stranger_stranger", "lat": 1, "lon": 2})
        await revoke()
        await eventually(refused, timeout_s=1.5)
    assert key not in server.log()
    assert "od_stranger" not in server.log()
