"""Cursor on Target: what devices say, what they are shown, and events that are none."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from xml.etree.ElementTree import Element, fromstring

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.fix import Fix
from geo.protocols import cot, cot_events
from geo.protocols.foreign import gathered
from tests.geo import vectors
from tests.helpers import ROOT

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
POINT = '<point lat="54.685" lon="25.27" hae="120.5" ce="4.5" le="9999999.0"/>'
DETAIL = (
    '<detail><takv device="SM-G970" platform="ATAK-CIV" os="31" version="5.0"/><contact callsign="VIPER &amp; 1"'
    ' endpoint="*:-1:stcp"/><__group name="Cyan" role="Team Member"/><status battery="77"/>'
    '<track course="90.5" speed="12.5"/><uid Droid="VIPER"/></detail>'
)
FIX = Fix(
    fix_at=NOW, lat=54.685, lon=25.27, accuracy_m=4.5, speed_mps=12.5, heading_deg=90.5, battery_pct=77,
)  # fmt: skip


def event(
    kind: str = "a-f-G-U-C", uid: str = "ANDROID-1", point: str = POINT, detail: str = DETAIL,
    time: str = "2026-05-01T12:00:00.000Z",
) -> bytes:  # fmt: skip
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    return (
        f'{head}<event version="2.0" uid="{uid}" type="{kind}" how="m-g" time="{time}" start="{time}"'
        f' stale="2026-05-01T12:06:15.000Z">{point}{detail}</event>'
    ).encode()


def test_where_a_device_is() -> None:
    found = cot.decode(event(), NOW)
    assert found[:5] == ("ANDROID-1", "a-f-G-U-C", "VIPER & 1", FIX, "ATAK-CIV, 5.0, SM-G970, 31")
    assert not found.is_ping


@pytest.mark.parametrize(
    ("part", "fields"),
    [
        ({"point": POINT.replace("4.5", "9999999.0")}, {"accuracy_m": None}),
        ({"detail": ""}, {"speed_mps": None, "heading_deg": None, "battery_pct": None}),
        ({"detail": '<detail><track course="9999999.0" speed="-1"/><status battery="-1"/></detail>'},
         {"speed_mps": None, "heading_deg": None, "battery_pct": None}),
        ({"time": "2026-05-01T14:00:00+02:00"}, {}),
        ({"time": "2026-05-01T12:00:00"}, {}),
        ({"kind": "a-u-G"}, {}),
        ({"kind": "b-a-o-tbl", "uid": "ANDROID-1-9-1-1"}, {"event": "panic"}),
        ({"kind": "b-a-o-can", "uid": "ANDROID-1-9-1-1"}, {"event": "panic_cancelled"}),
        ({"kind": "b-a-o-pan", "uid": "5-6", "detail": '<detail><link uid="x" relation="t-p"/><link uid="ANDROID-1"'
          ' type="a-f-G-U-C" relation="p-p"/><emergency type="Ring The Bell">V</emergency></detail>'},
         {"event": "panic", "speed_mps": None, "heading_deg": None, "battery_pct": None}),
    ],
)  # fmt: skip
def test_what_it_may_leave_out(part: dict[str, str], fields: dict[str, Any]) -> None:
    found = cot.decode(event(**part), NOW)
    assert found.uid == "ANDROID-1"
    assert isinstance(found.outcome, Fix)
    wanted = {name: getattr(FIX, name) for name in Fix.__struct_fields__} | fields
    assert {name: getattr(found.outcome, name) for name in wanted} == wanted


def test_without_a_fix_atak_is_at_zero() -> None:
    found = cot.decode(event(point='<point lat="0.0" lon="0.0" hae="9999999.0" ce="9999999.0" le="9999999.0"/>'), NOW)
    assert isinstance(found.outcome, Fix)
    assert found.outcome.nowhere


@pytest.mark.parametrize(
    ("part", "code"),
    [({"time": ""}, "time"), ({"time": "soon"}, "time"), ({"point": ""}, "lat"),
     ({"time": "2030-01-01T00:00:00Z"}, "time"),
     ({"point": '<point lat="91" lon="1"/>'}, "lat"), ({"point": '<point lat="1" lon="NaN"/>'}, "lon")],
)  # fmt: skip
def test_events_that_cannot_be_used(part: dict[str, str], code: str) -> None:
    outcome = cot.decode(event(**part), NOW).outcome
    assert isinstance(outcome, tuple)
    assert outcome[0] == code


@pytest.mark.parametrize("kind", ["b-t-f", "u-d-f", "b-r-f-h-c", "t-x-takp-q", "b-m-p-s-m", "b-a-g", "t-x-c-t"])
def test_other_events_are_no_places(kind: str) -> None:
    found = cot.decode(event(kind), NOW)
    assert (found.outcome, found.is_ping) == (None, kind == "t-x-c-t")


@pytest.mark.parametrize(
    "detail",
    ['<link uid="ANDROID-1" type="a-f-G-U-C" parent_callsign="V" relation="p-p"/><archive/>',
     '<usericon iconsetpath="x"/><link relation="p-p" uid="ANDROID-1"/>'],
)  # fmt: skip
def test_what_a_user_marks_on_the_map_is_no_place_of_the_tablet(detail: str) -> None:
    assert cot.decode(event("a-h-G", "marker-1", detail=f"<detail>{detail}</detail>"), NOW).outcome is None


def test_an_emergency_that_links_to_nobody_is_of_who_sends_it() -> None:
    linked = '<detail><link uid="ANDROID-1" type="a-f-G-U-C" relation="p-p"/></detail>'
    assert cot.decode(event("b-a-o-can", "19027480992-9-1-1"), NOW).of_sender
    assert not cot.decode(event("b-a-o-tbl", "19027480992-9-1-1", detail=linked), NOW).of_sender
    assert not cot.decode(event(), NOW).of_sender


@pytest.mark.parametrize("vector", vectors.everywhere("cot"), ids=lambda v: v["name"])
def test_vectors(vector: dict[str, Any]) -> None:
    sent = vector["payload"].encode()
    try:
        found = cot.decode(sent[: cot.event_bytes(sent)], NOW)
    except cot.DecodeError:
        assert vector["outcome"] == "reject"
        return
    fixes, _ = gathered([] if found.outcome is None else [found.outcome])
    vectors.check(vector, [msgspec.structs.asdict(fix) for fix in fixes], NOW)
    if fixes:
        assert found.uid == vector["expected"][0]["device_id"]


LAUGHS = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'


@pytest.mark.parametrize(
    "frame",
    [
        b"", b"</event>", b"<event></event>", b"<event uid='x'></event>", b"<event type='a'></event>",
        b"\x00" + event(),
        LAUGHS + event()[57:], b'<!DOCTYPE event SYSTEM "file:///etc/passwd">' + event()[57:], event()[:-9],
        b"<event uid='x' type='a-f'>&b;</event>", event().replace(b"VIPER", b"\xff"), b"<a>" * 100 + b"</event>",
        event(uid="x" * 201), b"<event uid='x' type='a-f'></event><event></event>",
        b"<events uid='x' type='a-f'/>",
    ],
)  # fmt: skip
def test_what_is_no_event_is_refused(frame: bytes) -> None:
    with pytest.raises(cot.DecodeError):
        cot.decode(frame, NOW)


def test_events_are_cut_from_the_stream_where_they_end() -> None:
    one, two = event(), event(uid="ANDROID-2")
    stream = one + b"\n" + two
    assert cot.event_bytes(stream) == len(one)
    for size in range(0, len(one) + 1, 7):
        assert cot.event_bytes(one[:size]) == (len(one) if size == len(one) else None)
        assert cot.event_bytes(stream, size) == len(one), "an end across two readings"
    assert cot.event_bytes(b"x" * cot.MAX_EVENT) is None
    for endless in (b"x" * (cot.MAX_EVENT + 1), b"x" * (cot.MAX_EVENT + 1) + cot.END):
        with pytest.raises(cot.DecodeError):
            cot.event_bytes(endless)


@given(st.one_of(st.binary(max_size=300), st.text(max_size=50).map(lambda text: event(detail=text))))
def test_nothing_breaks_it(frame: bytes) -> None:
    try:
        cot.decode(frame, NOW)
    except cot.DecodeError:
        return


# Out


def read(written: bytes) -> Element:
    """An event as a client reads it."""
    assert written.endswith(b"</event>\n")
    assert cot.event_bytes(written) == len(written) - 1
    found = fromstring(written)
    assert {*found.attrib} == {"version", "uid", "type", "how", "time", "start", "stale"}
    assert found.find("point") is not None
    return found


def texts(found: Element, path: str) -> dict[str, str]:
    part = found.find(path)
    assert part is not None, path
    return dict(part.attrib)


TASK: dict[str, Any] = json.loads((ROOT / "mobile_contract/examples/Task.json").read_text())
UNIT_ID = UUID(TASK["unit_id"])


def test_a_unit_is_a_friend_with_its_call_sign() -> None:
    written = cot_events.unit(
        UNIT_ID, "V<1>\x01 ą", NOW - timedelta(seconds=30), (25.27, 54.685), NOW, timedelta(seconds=60), accuracy_m=5,
        speed_mps=12.5, heading_deg=90,
    )  # fmt: skip
    found = read(written)
    assert (found.get("type"), found.get("start"), found.get("stale")) == (
        "a-f-G-U-C", "2026-05-01T11:59:30.000Z", "2026-05-01T12:00:30.000Z",
    )  # fmt: skip
    assert texts(found, "point") == {
        "lat": "54.6850000", "lon": "25.2700000", "hae": "9999999.0", "ce": "5", "le": "9999999.0",
    }  # fmt: skip
    assert texts(found, "detail/contact") == {"callsign": "V<1> ą"}
    assert texts(found, "detail/track") == {"speed": "12.5", "course": "90"}
    again = cot.decode(written, NOW)
    assert isinstance(again.outcome, Fix)
    assert (again.outcome.lat, again.outcome.speed_mps) == (54.685, 12.5)


def test_a_task_is_a_marker_an_outline_or_a_message() -> None:
    day = timedelta(days=1)
    found = read(cot_events.task(TASK, NOW, day))
    assert (found.get("type"), found.get("uid")) == ("b-m-p-s-m", f"outrider.task.{TASK['id']}")
    assert texts(found, "detail/contact") == {"callsign": "P2 #17 Grey van, Kaunas ring road"}
    assert "Stop and check the load" in (found.findtext("detail/remarks") or "")
    area = {"type": "Polygon", "coordinates": [[[25, 54], [26, 54], [26, 55], [25, 54]]]}
    found = read(cot_events.task(TASK | {"point": None, "area": area}, NOW, day))
    assert found.get("type") == "u-d-f"
    assert [link.get("point") for link in found.findall("detail/link")][1] == "54.0000000,26.0000000"
    assert texts(found, "point")["lat"] == "54.5000000"
    assert read(cot_events.task(TASK | {"point": None}, NOW, day)).get("type") == "b-t-f"


def test_a_notice_is_a_message_in_the_chat() -> None:
    notice = {
        "id": "7",
        "number": 3,
        "priority": "P1",
        "headline": "Road <closed>",
        "body": "A1\x00",
        "instruction": None,
    }
    found = read(cot_events.notice(notice, NOW, timedelta(hours=1)))
    assert found.get("uid", "").startswith("GeoChat.outrider.All Chat Rooms.")
    assert texts(found, "detail/__chat")["senderCallsign"] == "Outrider"
    assert found.findtext("detail/remarks") == "P1 #3 Road <closed>\nA1"


def test_what_is_over_is_taken_away_and_a_ping_is_answered() -> None:
    found = read(cot_events.deletion("outrider.task.1", NOW))
    assert (found.get("type"), texts(found, "detail/link")["uid"]) == ("t-x-d-d", "outrider.task.1")
    assert read(cot_events.pong(NOW)).get("type") == "t-x-c-t-r"
