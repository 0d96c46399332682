"""The routes of the device lane: what each protocol's senders may do, and what they must be answered.

Apps send again for ever what is refused. So a known device gets its protocol's good answer whatever was in its
message, as long as it could be read at all.
"""

from collections.abc import Awaitable, Callable

import msgspec
from starlette.types import Receive, Scope

from core.db import utcnow
from core.errors import BadDeviceKey, MediaType
from dispatch_api import errors
from dispatch_api.lane_request import (
    JSON,
    JSON_HEADERS,
    Headers,
    Reply,
    authorized,
    body_of,
    device_of,
    header,
    is_json,
    sender_of,
)
from dispatch_api.state import State
from geo.delivery import Stored
from geo.duty import KnownDevice
from geo.fix import Decoded, Rejected
from geo.protocols import fixes as batch
from geo.protocols import gpslogger, nmea, osmand, overland, owntracks, traccar

POSITIONS = "/api/v1/positions"
MAX_BODY = 1 << 20
MAX_FORM = 1 << 16
FORWARDER = "traccar"
MAX_OVERLAND = 2 << 20
"""A thousand points are 0.6 MB, and more with the app's own statistics."""
Handler = Callable[[State, Scope, Receive], Awaitable[Reply]]


class Answer(msgspec.Struct, gc=False):
    """What became of a batch; `suspect` fixes are among the `accepted`."""

    accepted: int
    duplicates: int
    off_duty: int
    suspect: int
    rejected: list[Rejected]


_encode = msgspec.json.Encoder().encode


def told(stored: Stored, rejected: list[Rejected]) -> Reply:
    """The answer to our own JSON and to forwarders."""
    if stored == ONE and not rejected:
        return TOLD_ONE
    return _told(stored, rejected)


def _told(stored: Stored, rejected: list[Rejected]) -> Reply:
    answer = Answer(stored.accepted, stored.duplicates, stored.off_duty, stored.suspect, rejected)
    return Reply(200, JSON_HEADERS, _encode(answer))


ONE = Stored(1, 0, 0, 0)
TOLD_ONE = _told(ONE, [])
"""What most deliveries are: one plain fix."""


async def _store_own(state: State, scope: Scope, device: KnownDevice, found: Decoded) -> Stored:
    """Store what a device sends itself; its app's name says what it is."""
    state.writer.describe(device, header(scope, b"user-agent").decode("latin-1"))
    return await _store(state, device, found, _sender(state, scope))


async def _store(state: State, device: KnownDevice, found: Decoded, sender: str | None) -> Stored:
    """Store in deliveries the writer takes whole; what became of them together."""
    fixes, rejected = found
    done = await state.writer.store(device, fixes[: batch.MAX_FIXES], rejected=len(rejected), sender=sender)
    for start in range(batch.MAX_FIXES, len(fixes), batch.MAX_FIXES):
        more = await state.writer.store(device, fixes[start : start + batch.MAX_FIXES], sender=sender)
        both = zip(msgspec.structs.astuple(done), msgspec.structs.astuple(more), strict=True)
        done = Stored(*map(sum, both))
    return done


def _sender(state: State, scope: Scope) -> str:
    return sender_of(state, scope["headers"], scope["client"][0] if scope["client"] else "")


def bearer(headers: Headers) -> str:
    """The device key of a JSON delivery; raises BadDeviceKey without one, MediaType for what is no JSON."""
    key = kind = None
    for name, value in headers:
        if name == b"authorization":
            key = value
        elif name == b"content-type":
            kind = value
    if key is None or key[:7].lower() != b"bearer ":
        raise BadDeviceKey
    if kind is not None and not kind.startswith(JSON):
        raise MediaType("Fixes are sent as application/json.")
    return key[7:].strip().decode("latin-1")


async def positions(state: State, scope: Scope, receive: Receive) -> Reply:
    """Our own JSON batches, authenticated by `Authorization: Bearer <device key>`."""
    device = await device_of(state, [bearer(scope["headers"])])
    body = await body_of(scope, receive, MAX_BODY)
    usable, rejected = batch.decode(body, utcnow())
    stored = await state.writer.store(device, usable, rejected=len(rejected), sender=_sender(state, scope))
    return told(stored, rejected)


async def osmand_route(state: State, scope: Scope, receive: Receive) -> Reply:
    """OsmAnd and Traccar Client: a query, a form or Traccar's JSON, with the device key as id."""
    now = utcnow()
    fields = osmand.query(scope["query_string"])
    message: dict[str, object] = dict(fields)
    body = await body_of(scope, receive, MAX_FORM) if scope["method"] == "POST" else b""
    as_json = is_json(scope, body)
    if as_json:
        message |= osmand.parsed(body)
    elif body:
        fields |= osmand.query(body)
        message = dict(fields)
    try:
        device = await device_of(state, osmand.keys_of(message))
    except BadDeviceKey:
        return Reply(404, [], b"")
    found = osmand.from_json(message, now) if as_json else osmand.from_query(fields, now, device.speed_unit)
    await _store_own(state, scope, device, found)
    return Reply(200, [], b"")


async def gpslogger_route(state: State, scope: Scope, receive: Receive) -> Reply:
    """GPSLogger: its key as the password of Basic, or as the field `key` of query, form or JSON."""
    fields = gpslogger.form(scope["query_string"])
    body = await body_of(scope, receive, MAX_BODY) if scope["method"] == "POST" else b""
    keys = [*authorized(scope), *gpslogger.keys_of(fields)]
    if not keys and len(body) <= MAX_FORM:
        keys = gpslogger.keys_of(*gpslogger.parts(body)[:1])
    try:
        device = await device_of(state, keys)
    except BadDeviceKey as refused:
        return _ask_password(refused)
    await _store_own(state, scope, device, gpslogger.decode(fields, body, utcnow()))
    return Reply(200, [], b"")


async def nmea_route(state: State, scope: Scope, receive: Receive) -> Reply:
    """NMEA sentences: as the field `gprmc` or `rmc` of a query or form, or the lines of a body."""
    fields = gpslogger.form(scope["query_string"])
    body = await body_of(scope, receive, MAX_FORM) if scope["method"] == "POST" else b""
    if b"=" in body.partition(b"$")[0]:
        fields |= gpslogger.form(body)
    elif body:
        fields["nmea"] = body.decode("ascii", "replace")
    try:
        device = await device_of(state, [*authorized(scope), *(fields.get(name, "") for name in nmea.KEY_NAMES)])
    except BadDeviceKey as refused:
        return _ask_password(refused)
    await _store_own(state, scope, device, nmea.from_fields(fields, utcnow()))
    return Reply(200, [], b"")


async def owntracks_route(state: State, scope: Scope, receive: Receive) -> Reply:
    """OwnTracks in HTTP mode: its key is the password of Basic."""
    try:
        device = await device_of(state, authorized(scope))
    except BadDeviceKey as refused:
        return _ask_password(refused)
    body = await body_of(scope, receive, MAX_BODY)
    await _store_own(state, scope, device, owntracks.decode(body, utcnow(), device.payload_secret))
    return Reply(200, JSON_HEADERS, owntracks.REPLY)


async def overland_route(state: State, scope: Scope, receive: Receive) -> Reply:
    """Overland: its access token is the key."""
    device = await device_of(state, authorized(scope))
    body = await body_of(scope, receive, MAX_OVERLAND)
    await _store_own(state, scope, device, overland.decode(body, utcnow()))
    return Reply(200, JSON_HEADERS, overland.REPLY)


async def traccar_route(state: State, scope: Scope, receive: Receive) -> Reply:
    """A Traccar server that forwards for devices registered with it; the others are listed for the administrator."""
    forwarder = await device_of(state, authorized(scope))
    body = await body_of(scope, receive, MAX_FORM)
    identifier, found, about = traccar.decode(body, utcnow())
    device = await state.duty.find_forwarded(forwarder.id, identifier or "")
    if device is None:
        if forwarder.protocol == FORWARDER:
            state.arrivals.stranger(FORWARDER, identifier or "", _sender(state, scope), forwarder.id)
        unknown = Rejected(0, "field", "`device.uniqueId` is none of the devices this key forwards for.")
        return told(await state.writer.store(forwarder, [], rejected=1), [unknown])
    state.writer.describe(device, about)  # the forwarder's own name says nothing, and every one comes from it
    return told(await _store(state, device, found, None), found[1])


def _ask_password(refused: BadDeviceKey) -> Reply:
    """The refusal that makes an app send the name and password it was given, which some only do when asked."""
    response = errors.problem(refused)
    kept = [pair for pair in response.raw_headers if pair[0] in {b"content-type"}]
    return Reply(response.status_code, [*kept, (b"www-authenticate", b'Basic realm="Outrider"')], bytes(response.body))


HANDLERS: dict[tuple[str, str], Handler] = {
    (POSITIONS, "POST"): positions,
    ("/ingest/osmand", "GET"): osmand_route,
    ("/ingest/osmand", "POST"): osmand_route,
    ("/ingest/gpslogger", "GET"): gpslogger_route,
    ("/ingest/gpslogger", "POST"): gpslogger_route,
    ("/ingest/nmea", "GET"): nmea_route,
    ("/ingest/nmea", "POST"): nmea_route,
    ("/ingest/owntracks", "POST"): owntracks_route,
    ("/ingest/overland", "POST"): overland_route,
    ("/ingest/traccar", "POST"): traccar_route,
}
"""The lane's routes by path and method."""
