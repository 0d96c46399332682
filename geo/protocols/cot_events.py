"""Cursor on Target out: units, tasks and notices as the events that ATAK, WinTAK and iTAK show.

Every event is a line of UTF-8 XML. Sources as in cot.py; the shapes of chats and deletions are those ATAK itself sends.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from xml.etree.ElementTree import Element, SubElement, tostring

from geo.protocols.cot import PONG, UNKNOWN
from mobile_contract.fields import utc_text

SENDER, CALL_SIGN = "outrider", "Outrider"
EVERYBODY = "All Chat Rooms"
UNIT, SPOT, SHAPE, CHAT, DELETION = "a-f-G-U-C", "b-m-p-s-m", "u-d-f", "b-t-f", "t-x-d-d"
ALIVE = timedelta(seconds=30)
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
Place = tuple[float, float]
"""Longitude and latitude in degrees."""


def _clean(text: str) -> str:
    """The text without the characters that XML 1.0 cannot hold."""
    return _UNWRITABLE.sub("", text)


def _event(
    uid: str, kind: str, now: datetime, stale_at: datetime, place: Place = (0, 0), *, how: str = "h-g-i-g-o",
    start: datetime | None = None, accuracy_m: float | None = None,
) -> tuple[Element, Element]:  # fmt: skip
    """An event and its detail, to be filled."""
    event = Element(
        "event", version="2.0", uid=uid, type=kind, how=how, time=utc_text(now), start=utc_text(start or now),
        stale=utc_text(stale_at),
    )  # fmt: skip
    ce = UNKNOWN if accuracy_m is None else accuracy_m
    SubElement(
        event, "point", lat=f"{place[1]:.7f}", lon=f"{place[0]:.7f}", hae=str(UNKNOWN), ce=str(ce), le=str(UNKNOWN)
    )
    return event, SubElement(event, "detail")


def _written(event: Element) -> bytes:
    written: bytes = tostring(event, encoding="utf-8", xml_declaration=False)
    return written + b"\n"


def pong(now: datetime) -> bytes:
    """The answer to a ping."""
    event, _ = _event("takPong", PONG, now, now + ALIVE)
    return _written(event)


def unit(
    unit_id: UUID, call_sign: str, fix_at: datetime, place: Place, now: datetime, stale_after: timedelta, *,
    accuracy_m: float | None = None, speed_mps: float | None = None, heading_deg: float | None = None,
) -> bytes:  # fmt: skip
    """Where a unit was at `fix_at`; the place is stale once the unit should have told a newer one."""
    event, detail = _event(
        f"{SENDER}.unit.{unit_id}", UNIT, now, max(fix_at + stale_after, now), place, how="m-g", start=fix_at,
        accuracy_m=accuracy_m,
    )  # fmt: skip
    SubElement(detail, "contact", callsign=_clean(call_sign))
    SubElement(detail, "__group", name="Cyan", role="Team Member")
    track = {"speed": speed_mps, "course": heading_deg}
    told = {name: str(value) for name, value in track.items() if value is not None}
    if told:
        SubElement(detail, "track", told)
    return _written(event)


def task(resource: Mapping[str, Any], now: datetime, valid_for: timedelta) -> bytes:
    """A task of the officers' contract: a marker at its point, the outline of its area, or else a message."""
    headline = f"{resource['priority']} #{resource['number']} {resource['title']}"
    text = "\n".join(filter(None, (resource.get("status"), resource.get("address"), resource.get("instruction"))))
    ring = _ring(resource.get("area"))
    point = resource.get("point")
    uid = task_uid(resource["id"])
    if point is None and not ring:
        return message(uid, f"{headline}\n{text}", now, valid_for)
    place = tuple(point["coordinates"][:2]) if point else _middle(ring)
    event, detail = _event(uid, SPOT if point else SHAPE, now, now + valid_for, (place[0], place[1]))
    SubElement(detail, "contact", callsign=_clean(headline))
    if not point:
        for lon, lat in ring:
            SubElement(detail, "link", point=f"{lat:.7f},{lon:.7f}")
    SubElement(detail, "remarks").text = _clean(text)
    return _written(event)


def task_uid(task_id: object) -> str:
    """What a task's event is called."""
    return f"{SENDER}.task.{task_id}"


def notice(resource: Mapping[str, Any], now: datetime, valid_for: timedelta) -> bytes:
    """A notice of the officers' contract as a message to everybody on the line."""
    parts = (resource["headline"], resource.get("body"), resource.get("instruction"))
    text = "\n".join(filter(None, parts))
    uid = f"{SENDER}.notice.{resource['id']}.{resource.get('state', 'sent')}"
    return message(uid, f"{resource['priority']} #{resource['number']} {text}", now, valid_for)


def message(uid: str, text: str, now: datetime, valid_for: timedelta) -> bytes:
    """Text in the chat that every client shows."""
    event, detail = _event(f"GeoChat.{SENDER}.{EVERYBODY}.{uid}", CHAT, now, now + valid_for)
    room = {"parent": "RootContactGroup", "groupOwner": "false", "chatroom": EVERYBODY, "id": EVERYBODY}
    chat = SubElement(detail, "__chat", room | {"senderCallsign": CALL_SIGN, "messageId": uid})
    SubElement(chat, "chatgrp", uid0=SENDER, uid1=EVERYBODY, id=EVERYBODY)
    SubElement(detail, "link", uid=SENDER, type=UNIT, relation="p-p")
    remarks = SubElement(detail, "remarks", source=f"BAO.F.{SENDER}", to=EVERYBODY, time=utc_text(now))
    remarks.text = _clean(text)
    return _written(event)


def deletion(uid: str, now: datetime) -> bytes:
    """That what was shown under this name is over."""
    event, detail = _event(f"{SENDER}.deletion.{uid}", DELETION, now, now + ALIVE)
    SubElement(detail, "link", uid=uid, relation="none", type="none")
    SubElement(detail, "__forcedelete")
    return _written(event)


def _ring(area: Mapping[str, Any] | None) -> list[Place]:
    """The outer ring of a polygon."""
    return [(lon, lat) for lon, lat, *_ in area["coordinates"][0]] if area else []


def _middle(ring: Sequence[Place]) -> Place:
    lons, lats = zip(*ring, strict=True)
    return (min(lons) + max(lons)) / 2, (min(lats) + max(lats)) / 2
