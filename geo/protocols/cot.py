"""Cursor on Target, the XML events of ATAK, WinTAK and iTAK: bytes in, who it is of and the fix out.

Heights are above the ellipsoid, which is not the sea level that other trackers mean: they are left out.

Sources: MITRE's CoT Base Schema 2.0, tkuester/taky's models, FreeTAKServer's and OpenTAKServer's descriptions.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple, NoReturn
from xml.etree.ElementTree import Element, ParseError, TreeBuilder
from xml.parsers import expat

from core.errors import Malformed
from geo.fix import Fix
from geo.protocols.foreign import Wrong, known, number, reading

MAX_EVENT = 2**16
END = b"</event>"
UNKNOWN = 9_999_999.0
"""How a distance is written that is not known."""
PING, PONG = "t-x-c-t", "t-x-c-t-r"
PANIC = {"b-a-o-tbl", "b-a-o-pan", "b-a-o-opn"}
"""What ATAK's emergency button sends: 911 alert, ring the bell, in contact."""
CANCELLED = "b-a-o-can"
MAX_DEPTH = 64
_OF_EMERGENCY = "-9-1-1"
"""What ATAK puts behind its own name in an emergency's."""


class DecodeError(Malformed):
    """The bytes are no event."""


class Event(NamedTuple):
    """An event: of which device, and what it says; `outcome` is None for what is no place of a device.

    `about` names the tablet and its program. An emergency that links to no device is `of_sender`: of whoever sends it.
    """

    uid: str
    type: str
    call_sign: str | None
    outcome: Fix | Wrong | None
    about: str | None = None
    of_sender: bool = False

    @property
    def is_ping(self) -> bool:
        """Whether it only asks whether somebody is there."""
        return self.type == PING


def event_bytes(buffer: bytes | bytearray, seen: int = 0) -> int | None:
    """How long the event at the beginning is; None when its end is not there yet. Raises DecodeError.

    The first `seen` bytes were looked through before.
    """
    at = buffer.find(END, max(0, seen - len(END)))
    if (len(buffer) if at < 0 else at) > MAX_EVENT:
        raise DecodeError(f"An event has {MAX_EVENT} bytes at most.")
    return None if at < 0 else at + len(END)


def decode(frame: bytes | bytearray, now: datetime) -> Event:
    """What an event says; raises DecodeError for what is none, and for any document type."""
    event = parsed(bytes(frame))
    kind = event.get("type", "")
    uid, call_sign = event.get("uid", ""), _of(event, "detail/contact").get("callsign")
    if event.tag != "event" or not kind or not uid or "\x00" in uid or len(uid) > 200:
        raise DecodeError("The event has no type, or no uid.")
    is_emergency, parent = kind in PANIC or kind == CANCELLED, _parent(event)
    if is_emergency:
        uid = parent or uid.removesuffix(_OF_EMERGENCY)
    elif parent or not kind.startswith("a-"):  # what a user marks on the map links to the tablet
        return Event(uid, kind, call_sign, None)
    about = _about(_of(event, "detail/takv"))
    return Event(uid, kind, call_sign, _fix(event, kind, now), about, of_sender=is_emergency and not parent)


def parsed(frame: bytes) -> Element:
    """The root element of UTF-8 text; raises DecodeError, also for a document type and so for entities."""
    builder, depth = TreeBuilder(), 0
    parser = expat.ParserCreate("UTF-8")

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise DecodeError("The elements lie too deep in each other.")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse_type
    try:
        parser.Parse(frame, True)
        return builder.close()
    except (expat.ExpatError, ParseError) as error:
        raise DecodeError(f"The event is not well-formed: {error}.") from error


def _refuse_type(*_: object) -> NoReturn:
    raise DecodeError("A document type is not taken.")


def _of(event: Element, path: str) -> Mapping[str, str]:
    found = event.find(path)
    return {} if found is None else found.attrib


def _about(takv: Mapping[str, str]) -> str | None:
    return ", ".join(each for name in ("platform", "version", "device", "os") if (each := takv.get(name))) or None


def _parent(event: Element) -> str | None:
    """The device that an emergency or a marker is linked to."""
    links = event.findall("detail/link")
    return next((link.get("uid") for link in links if link.get("relation") == "p-p" and link.get("uid")), None)


def _fix(event: Element, kind: str, now: datetime) -> Fix | Wrong:
    point, track = _of(event, "point"), _of(event, "detail/track")
    return reading(
        now,
        fix_at=_moment(event.get("time")),
        lat=number(point.get("lat")),
        lon=number(point.get("lon")),
        accuracy_m=_unless_unknown(point.get("ce")),
        speed_mps=_unless_unknown(track.get("speed")),
        heading_deg=_unless_unknown(track.get("course")),
        battery_pct=known(_of(event, "detail/status").get("battery")),
        event="panic" if kind in PANIC else "panic_cancelled" if kind == CANCELLED else None,
    )


def _unless_unknown(text: str | None) -> object:
    found = known(text)
    return None if isinstance(found, float) and found >= UNKNOWN else found


def _moment(text: str | None) -> datetime | None:
    """A time of day and date; without a zone it is UTC, as the standard has it."""
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
