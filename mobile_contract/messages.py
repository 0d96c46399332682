"""Every message of the two sockets, both ways, as unions on `kind` (interfaces.md 7).

What the server sends is strict (unknown fields are an error in a test); what it receives may carry more than it
knows, so that a newer app can talk to an older server. Applying a message twice changes nothing.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from mobile_contract.fields import Lat, Lon, MomentOut
from mobile_contract.handovers import Handover
from mobile_contract.resources import GeoPoint, InboxItem, NoticeSummary, Seq, Task
from mobile_contract.shapes import GeoPolygon

HEARTBEAT_S = 2
"""A `beat` comes this often; silence for more than 5 s means the connection is lost."""
COLUMNS = (
    "unit_id", "lon", "lat", "fix_at", "heading_deg", "speed_mps", "accuracy_m", "status", "suspect",
)  # fmt: skip
"""What each row of a `units` table holds, in this order."""

Secret = Annotated[str, Field(min_length=1, max_length=200)]
Box = tuple[Lon, Lat, Lon, Lat]
Count = Annotated[int, Field(ge=0, le=2**53)]


class _Received(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Boxed(_Received):
    bbox: Box | None = None

    @model_validator(mode="after")
    def _has_extent(self) -> "_Boxed":
        if self.bbox and not (self.bbox[0] < self.bbox[2] and self.bbox[1] < self.bbox[3]):
            raise ValueError("bbox must have west before east and south before north")
        return self


class Hello(_Boxed):
    """The first message, within 5 s: who connects, and from where on. Browsers with a cookie leave out the token."""

    kind: Literal["hello"]
    token: Secret | None = None
    ticket: Secret | None = None
    after: Seq | None = None
    install_id: UUID | None = None


class View(_Boxed):
    """The box (min_lon, min_lat, max_lon, max_lat) whose units are wanted; without one, all."""

    kind: Literal["view"]


class Ack(_Received):
    """Everything up to this `seq` is stored on this installation; said once more after each `welcome`.

    It is not answered: what was said over a line that broke may not have arrived. A number that was never sent is
    passed over, since `resync` says so.
    """

    kind: Literal["ack"]
    upto: Seq


class Ping(_Received):
    """To be answered with the same number."""

    kind: Literal["ping"]
    n: Count


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid")

    at: MomentOut


class Welcome(_Sent):
    """The connection stands."""

    kind: Literal["welcome"]
    server_time: MomentOut
    heartbeat_s: int


class UnitRow(BaseModel):
    """One row of a `units` table, by name."""

    unit_id: UUID
    lon: Lon
    lat: Lat
    fix_at: MomentOut
    heading_deg: float | None
    speed_mps: float | None
    accuracy_m: float | None
    status: str
    suspect: bool


Row = tuple[UUID, Lon, Lat, MomentOut, float | None, float | None, float | None, str, bool]


class UnitTable(BaseModel):
    """Units in view: column names once, then a row for each."""

    model_config = ConfigDict(extra="forbid")

    columns: list[str]
    rows: list[Row]

    def units(self) -> list[UnitRow]:
        """The rows by name."""
        return [UnitRow.model_validate(dict(zip(self.columns, row, strict=True))) for row in self.rows]


class DisturbedUnit(BaseModel):
    """A unit in an interference: whether its receiver lost its place or jumped to a false one, and since when."""

    model_config = ConfigDict(extra="forbid")

    unit_id: UUID
    sign: Literal["lost", "jumped"]
    since: MomentOut


class Alert(BaseModel):
    """Something a dispatcher must look at until one takes it; with `cleared_at` it is over.

    `whose`: the unit's call sign, or of a device without a unit its person's name, or what it is called.
    `since`: when a silent unit or tracker was last heard, or when a device first told what the alert is about, at
    `point` if that is known; `withdrawn_at`: it took its panic back. `reached`: how far the alarm went before somebody
    took it; `called` are the supervisors it went to. `area` and
    `units`: where and for whom satellite navigation is disturbed.
    """

    model_config = ConfigDict(extra="forbid")

    id: UUID
    kind: Literal[
        "task_unacknowledged", "task_declined", "task_conflict", "support_requested", "panic", "unit_silent",
        "tracker_silent", "tracker_frozen", "tracker_doubled", "tracker_apart", "interference", "panic_late", "crash",
        "fall", "tow", "tamper", "power_cut", "jamming", "low_battery",
    ]  # fmt: skip
    task_id: UUID | None
    unit_id: UUID | None
    device_id: UUID | None
    whose: str
    since: MomentOut | None
    raised_at: MomentOut
    text: str
    reached: Literal["dispatchers", "deputy", "supervisors"]
    called: list[UUID]
    taken_by: UUID | None
    taken_by_name: str | None
    taken_at: MomentOut | None
    point: GeoPoint | None
    withdrawn_at: MomentOut | None
    cleared_at: MomentOut | None
    closed_by: UUID | None
    closed_by_name: str | None
    close_reason: str | None
    area: GeoPolygon | None
    units: list[DisturbedUnit]


class Snapshot(_Sent):
    """Everything in view as of `as_of`: replaces what the client has."""

    kind: Literal["snapshot"]
    as_of: MomentOut
    version: int
    units: UnitTable
    tasks: list[Task]
    notices: list[NoticeSummary]
    alerts: list[Alert]
    handovers: list[Handover]


class Units(_Sent, UnitTable):
    """What changed since the message before: new rows of units in view, and the ids of units to take off the map."""

    kind: Literal["units"]
    as_of: MomentOut
    version: int
    gone: list[UUID]


class TaskMessage(_Sent):
    """A task was made or moved on."""

    kind: Literal["task"]
    task: Task


class NoticeMessage(_Sent):
    """A notice was sent, cancelled or received by somebody."""

    kind: Literal["notice"]
    notice: NoticeSummary


class AlertMessage(_Sent):
    """An alert was raised or cleared."""

    kind: Literal["alert"]
    alert: Alert


class HandoverMessage(_Sent):
    """A hand-over was given, or with `confirmed_at` confirmed."""

    kind: Literal["handover"]
    handover: Handover


class InboxMessage(_Sent):
    """The next items of the inbox, in order, without a gap."""

    kind: Literal["inbox"]
    items: list[InboxItem]


class Pong(_Sent):
    """The answer to a ping."""

    kind: Literal["pong"]
    n: int


class Beat(_Sent):
    """Nothing more to tell than that what was told holds as of this moment."""

    kind: Literal["beat"]
    as_of: MomentOut


class Resync(_Sent):
    """What was sent has a gap: a snapshot (or, on the inbox, everything from the beginning) follows."""

    kind: Literal["resync"]
    reason: Literal["behind", "unknown_seq"]


class Bye(_Sent):
    """The server closes the connection with this code."""

    kind: Literal["bye"]
    code: int
    reason: str


ToServer = Annotated[Hello | View | Ack | Ping, Field(discriminator="kind")]
ToClient = Annotated[
    Welcome
    | Snapshot
    | Units
    | TaskMessage
    | NoticeMessage
    | AlertMessage
    | HandoverMessage
    | InboxMessage
    | Pong
    | Beat
    | Resync
    | Bye,
    Field(discriminator="kind"),
]

_TO_SERVER: TypeAdapter[Any] = TypeAdapter(ToServer)
_TO_CLIENT: TypeAdapter[Any] = TypeAdapter(ToClient)


def parse_to_server(text: str | bytes) -> Hello | View | Ack | Ping:
    """A client's message; raises ValueError."""
    message: Hello | View | Ack | Ping = _TO_SERVER.validate_json(text)
    return message


def parse_to_client(text: str | bytes) -> ToClient:
    """A server's message; raises ValueError."""
    message: ToClient = _TO_CLIENT.validate_json(text)
    return message
