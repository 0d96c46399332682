"""The ranking of devices over HTTP: who is first, what is said of each, and in which pages."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.actor import Role, system
from core.ids import new_id
from core.models import Office
from core.work import open_work
from dispatch_api.demo import fortnight
from geo.device_models import FixInterval, IngestCount
from tests.helpers import Client, crew

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


async def counted(client: Client, device_id: UUID, days_ago: int = 0, **counts: Any) -> None:
    """A day of a device that was heard just now, unless said otherwise."""
    day = TODAY - timedelta(days=days_ago)
    fields = {"accepted": 1_000, "seen_at": datetime.now(UTC) - timedelta(days=days_ago)} | counts
    async with open_work(client.engine, system("test")) as work:
        work.session.add(IngestCount(device_id=device_id, day=day, **fields))


async def ranking(client: Client, headers: dict[str, str], **query: Any) -> dict[str, Any]:
    answer = await client.http.get("/api/v1/devices/trust", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_the_most_troubled_come_first_page_by_page(client: Client) -> None:
    _, headers = await client.new(Role.SUPERVISOR)
    good, jumpy, worse, silent, never = [await crew(client.engine) for _ in range(5)]
    await counted(client, good.device.id)
    await counted(client, jumpy.device.id, jumps=50)
    await counted(client, worse.device.id, jumps=500, duplicates=900, about="Outrider 1.0", skew_s=4.5)
    await counted(client, silent.device.id, seen_at=datetime.now(UTC) - timedelta(hours=3))
    wanted = [worse.device.id, silent.device.id, jumpy.device.id, good.device.id, never.device.id]
    page: dict[str, Any] = {"next": None}
    found: list[dict[str, Any]] = []
    while not found or page["next"]:
        page = await ranking(client, headers, limit=2, after=page["next"] or "")
        found += page["items"]
    assert [UUID(each["id"]) for each in found] == wanted
    assert [each["score"] for each in found] == [51, 60, 81, 100, None]
    assert [[reason["code"] for reason in each["reasons"]] for each in found] == [
        ["jumps", "duplicates"], ["unheard"], ["jumps"], [], ["never"],
    ]  # fmt: skip
    assert page["totals"] == {"devices": 5, "troubled": 2, "unheard": 1, "unscored": 1}
    first = found[0]
    assert (first["call_sign"], first["about"], first["last_skew_s"]) == (worse.unit.call_sign, "Outrider 1.0", 4.5)
    assert first["on_duty"]
    assert (len(first["days"]), first["days"][-1]["duplicates"], first["days"][-2]["duplicates"]) == (14, 900, 0)
    assert len(first["gaps"]) == len(page["gap_bounds_s"]) + 1


async def test_a_filter_names_few_and_a_revoked_device_is_not_ranked(client: Client) -> None:
    _, headers = await client.new(Role.ADMINISTRATOR)
    async with open_work(client.engine, system("test")) as work:
        office = Office(code=f"O{new_id().hex[-6:]}", name="Medininkai")
        work.session.add(office)
    here = await crew(client.engine, office_id=office.id, call_sign="V-Ąžuolas")
    there = await crew(client.engine, protocol="teltonika")
    assert [each["office"] for each in (await ranking(client, headers, office_id=office.id))["items"]] == ["Medininkai"]
    (found,) = (await ranking(client, headers, protocol="teltonika"))["items"]
    assert found["id"] == str(there.device.id)
    for q in ("ąžuol", str(here.device.id)[:13].upper()):
        assert str(here.device.id) in [each["id"] for each in (await ranking(client, headers, q=q))["items"]]
    assert (await ranking(client, headers, q="%"))["items"] == []
    await client.http.post(f"/api/v1/devices/{here.device.id}/revoke", headers=headers)
    assert (await ranking(client, headers, office_id=office.id))["items"] == []
    one = await client.http.get(f"/api/v1/devices/{here.device.id}/trust", headers=headers)
    assert one.json()["revoked_at"]


async def test_one_device_with_its_days(client: Client) -> None:
    _, headers = await client.new(Role.ADMINISTRATOR)
    made = await crew(client.engine)
    await counted(client, made.device.id, days_ago=1, skews=[0, 0, 0, 0, 0, 0, 8], battery_pct=40, late=3)
    await counted(client, made.device.id, days_ago=20, accepted=7)
    async with open_work(client.engine, system("test")) as work:
        work.session.add(
            FixInterval(device_id=made.device.id, day=TODAY - timedelta(days=1), gaps=[0, 0, 90, 10],
                        heard_s=2_000, silent_s=500, counted_at=work.now)
        )  # fmt: skip
    path = f"/api/v1/devices/{made.device.id}/trust"
    found = (await client.http.get(path, params={"days": 30}, headers=headers)).json()
    assert (found["accepted"], found["skew_s"], found["silent_share"], found["battery_pct"]) == (1_000, 0, 0.25, 40)
    assert found["gaps"][:4] == [0, 0, 90, 10]
    days = {day["day"]: day for day in found["days"]}
    assert len(days) == 30
    assert days[str(TODAY.date() - timedelta(days=20))]["accepted"] == 7
    yesterday = days[str(TODAY.date() - timedelta(days=1))]
    assert (yesterday["late"], yesterday["gaps"][2], yesterday["silent_share"]) == (3, 90, 0.25)
    assert (await client.http.get(f"/api/v1/devices/{new_id()}/trust", headers=headers)).status_code == 404


@pytest.mark.parametrize("after", ["x", "5", "5:x", ":", "x:01a22b5a-7e45-7e78-8fab-0ba31466c588"])
async def test_an_invented_page_is_refused(client: Client, after: str) -> None:
    _, headers = await client.new(Role.SUPERVISOR)
    answer = await client.http.get("/api/v1/devices/trust", params={"after": after}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


async def test_moving_a_device_ranks_it_with_its_new_unit(client: Client) -> None:
    _, headers = await client.new(Role.ADMINISTRATOR)
    made, other = await crew(client.engine), await crew(client.engine, on_shift=False)
    body = {"unit_id": str(other.unit.id), "valid_from": datetime.now(UTC).isoformat()}
    assert (await client.http.post(f"/api/v1/devices/{made.device.id}/assign", json=body, headers=headers)).is_success
    found = {each["id"]: each for each in (await ranking(client, headers))["items"]}[str(made.device.id)]
    assert (found["call_sign"], found["on_duty"]) == (other.unit.call_sign, False)
    async with open_work(client.engine, system("test")) as work:
        await work.session.execute(text("UPDATE unit SET tracking = 'always' WHERE id = :id"), {"id": other.unit.id})
    assert (await ranking(client, headers, q=other.unit.call_sign))["items"][0]["on_duty"]


async def test_no_tracker_of_the_demonstration_on_duty_is_silent_as_it_begins(client: Client) -> None:
    _, headers = await client.new(Role.SUPERVISOR)
    on_duty, off_duty = await crew(client.engine), await crew(client.engine, on_shift=False)
    async with open_work(client.engine, system("test")) as work:
        fortnight.remember(work, [on_duty.device.id, off_duty.device.id], {on_duty.device.id})
    found = await ranking(client, headers)
    assert found["totals"]["unheard"] == 0
    assert {each["id"]: each["on_duty"] for each in found["items"]} == {
        str(on_duty.device.id): True, str(off_duty.device.id): False,
    }  # fmt: skip
