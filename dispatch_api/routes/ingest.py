"""Tracker ingest in the OpenAPI document; the device lane in front answers these routes with the same code."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response, Security
from fastapi.security import HTTPBasic, HTTPBearer
from pydantic import BaseModel, Field

from dispatch_api import lane_routes
from dispatch_api.lane_routes import Handler
from dispatch_api.state import state_of
from geo.protocols.fixes import MAX_FIXES

AT_ROOT = True
router = APIRouter(tags=["ingest"])


class FixIn(BaseModel):
    """One reading of a tracker; unknown fields are ignored."""

    fix_at: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    lat: Annotated[float, Field(ge=-90, le=90)]
    lon: Annotated[float, Field(ge=-180, le=180)]
    accuracy_m: Annotated[float, Field(ge=0, le=1_000_000)] | None = None
    altitude_m: Annotated[float, Field(ge=-12_000, le=100_000)] | None = None
    speed_mps: Annotated[float, Field(ge=0, le=10_000)] | None = None
    heading_deg: Annotated[float, Field(ge=0, le=360)] | None = None
    satellites: Annotated[int, Field(ge=0, le=255)] | None = None
    battery_pct: Annotated[float, Field(ge=0, le=100)] | None = None
    event: Annotated[str, Field(max_length=200)] | None = None
    id: str | None = None


class RejectedOut(BaseModel):
    """A fix of the batch that cannot be used."""

    index: int
    code: Literal["lat", "lon", "time", "number", "field"]
    detail: str


class IngestOut(BaseModel):
    """What became of a batch; suspect fixes are among the accepted."""

    accepted: int
    duplicates: int
    off_duty: int
    suspect: int
    rejected: list[RejectedOut]


class OverlandOut(BaseModel):
    """What makes Overland forget a batch."""

    result: Literal["ok"]


PROBLEM: dict[str, Any] = {"content": {"application/problem+json": {"schema": {"type": "object"}}}}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    described = {400: "Not JSON", 401: "Unknown or revoked device key", 413: "Too large", 415: "Not JSON"}
    described |= {422: "No list `fixes`", 503: "Overloaded: send again after Retry-After"}
    return {status: {"description": described[status], **PROBLEM} for status in statuses}


BATCH = {
    "type": "object",
    "required": ["fixes"],
    "properties": {"fixes": {"type": "array", "maxItems": MAX_FIXES, "items": FixIn.model_json_schema()}},
}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _fields(*names: str) -> dict[str, Any]:
    """The fields of a query."""
    return {"parameters": [{"name": name, "in": "query", "schema": {"type": "string"}} for name in names]}


def _content(*media_types: str) -> dict[str, Any]:
    """A body of one of these kinds."""
    kinds = {each: {"schema": ANY if "json" in each or "form" in each else {"type": "string"}} for each in media_types}
    return {"requestBody": {"content": kinds}}


ANY = {"type": "object"}
FORM, JSON, TEXT = "application/x-www-form-urlencoded", "application/json", "text/plain"
OSMAND_FIELDS = _fields("id", "lat", "lon", "timestamp", "accuracy", "altitude", "speed", "bearing", "sat", "batt")
GPSLOGGER_FIELDS = _fields("key", "lat", "lon", "time", "acc", "alt", "spd", "dir", "sat", "batt")
NMEA_FIELDS = _fields("id", "gprmc")
OSMAND_ANSWERS = {404: {"description": "Unknown or revoked device key"}, **_problems(400, 413, 503)}
APP_ANSWERS = _problems(400, 401, 413, 503)
BEARER = [Security(HTTPBearer(scheme_name="DeviceKey", auto_error=False))]
PASSWORD = [Security(HTTPBasic(scheme_name="DevicePassword", auto_error=False))]


async def _lane(handler: Handler, request: Request) -> Response:
    reply = await handler(state_of(request), request.scope, request.receive)
    headers = {name.decode(): value.decode() for name, value in reply.headers}
    return Response(reply.body, reply.status, headers)


@router.post(
    "/api/v1/positions",
    response_model=IngestOut,
    responses=_problems(400, 401, 413, 415, 422, 503),
    dependencies=BEARER,
    openapi_extra=_json(BATCH),
)
async def send_positions(request: Request) -> Response:
    """Store a device's fixes: `Authorization: Bearer <device key>`. 200 also when every fix is rejected."""
    return await _lane(lane_routes.positions, request)


@router.get("/ingest/osmand", response_class=Response, responses=OSMAND_ANSWERS, openapi_extra=OSMAND_FIELDS)
@router.post(
    "/ingest/osmand",
    response_class=Response,
    responses=OSMAND_ANSWERS,
    operation_id="post_osmand",
    openapi_extra=_content(FORM, JSON),
)
async def send_osmand(request: Request) -> Response:
    """Store a fix of OsmAnd or Traccar Client: query, form or Traccar's JSON; `id` is the device key."""
    return await _lane(lane_routes.osmand_route, request)


@router.get(
    "/ingest/gpslogger",
    response_class=Response,
    responses=APP_ANSWERS,
    dependencies=PASSWORD,
    openapi_extra=GPSLOGGER_FIELDS,
)
@router.post(
    "/ingest/gpslogger",
    response_class=Response,
    responses=APP_ANSWERS,
    dependencies=PASSWORD,
    operation_id="post_gpslogger",
    openapi_extra=_content(FORM, JSON, "text/csv"),
)
async def send_gpslogger(request: Request) -> Response:
    """Store what GPSLogger sends: query, form, JSON or CSV; the key is Basic's password, or the field `key`."""
    return await _lane(lane_routes.gpslogger_route, request)


@router.get(
    "/ingest/nmea", response_class=Response, responses=APP_ANSWERS, dependencies=PASSWORD, openapi_extra=NMEA_FIELDS
)
@router.post(
    "/ingest/nmea",
    response_class=Response,
    responses=APP_ANSWERS,
    dependencies=PASSWORD,
    operation_id="post_nmea",
    openapi_extra=_content(TEXT, FORM),
)
async def send_nmea(request: Request) -> Response:
    """Store NMEA 0183 sentences: lines, or the field `gprmc`; the key is Basic's password, or the field `id`."""
    return await _lane(lane_routes.nmea_route, request)


@router.post(
    "/ingest/owntracks", response_model=list[Any], responses=APP_ANSWERS, dependencies=PASSWORD,
    openapi_extra=_json(ANY),
)  # fmt: skip
async def send_owntracks(request: Request) -> Response:
    """Store a message of OwnTracks in HTTP mode; the key is Basic's password."""
    return await _lane(lane_routes.owntracks_route, request)


@router.post(
    "/ingest/overland", response_model=OverlandOut, responses=APP_ANSWERS, dependencies=BEARER,
    openapi_extra=_json(ANY),
)  # fmt: skip
async def send_overland(request: Request) -> Response:
    """Store a batch of Overland; the key is its access token."""
    return await _lane(lane_routes.overland_route, request)


@router.post(
    "/ingest/traccar", response_model=IngestOut, responses=APP_ANSWERS, dependencies=BEARER, openapi_extra=_json(ANY)
)
async def send_traccar(request: Request) -> Response:
    """Store a position that a Traccar server forwards, for the device whose `identifier` is its `uniqueId`."""
    return await _lane(lane_routes.traccar_route, request)
