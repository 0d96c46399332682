"""Tasks, notices and inbox items as officers' apps send and receive them (interfaces.md 6 and 7).

Coded fields are plain text here: their values are in `GET /code-lists` and may grow without a new app.
"""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from mobile_contract.fields import AccuracyM, Body, Code, Edge, Lat, Line, Lon, Moment, MomentOut, Out, Reason, Version
from mobile_contract.shapes import MAX_VERTICES as MAX_VERTICES
from mobile_contract.shapes import GeoPoint as GeoPoint
from mobile_contract.shapes import GeoPolygon as GeoPolygon
from mobile_contract.shapes import Placed

Status = Literal[
    "draft", "issued", "delivered", "acknowledged", "declined", "unacknowledged", "en_route", "on_scene", "paused",
    "completed", "failed", "closed", "cancelled", "expired", "discarded",
]  # fmt: skip
Verb = Literal[
    "issue", "reassign", "pause", "resume", "cancel", "close", "return", "discard",
    "acknowledge", "decline", "en_route", "on_scene", "complete", "fail",
]  # fmt: skip
Priority = Literal["P1", "P2", "P3", "P4"]
Capabilities = Annotated[list[Code], Field(max_length=20)]
Ids = Annotated[list[UUID], Field(max_length=500)]
Seq = Annotated[int, Field(ge=0, le=2**63 - 1)]


class _TaskFields(Placed):
    point: GeoPoint | None = None
    area: GeoPolygon | None = None
    address: Line | None = None
    window_from: Moment | None = None
    window_to: Moment | None = None
    unit_id: UUID | None = None
    required_capabilities: Capabilities | None = None

    @model_validator(mode="after")
    def _one_point_and_order(self) -> Self:
        if self.point is not None and self.lon is not None:
            raise ValueError("give either point or lon and lat")
        if self.window_from and self.window_to and self.window_to <= self.window_from:
            raise ValueError("window_to must come after window_from")
        return self


class TaskIn(_TaskFields):
    """A task to draft; with `unit_id` and `issue` it is issued at once, in the same transaction."""

    id: UUID | None = None
    kind: Code
    priority: Priority
    title: Line
    instruction: Body = ""
    reason_code: Code
    reason: Line | None = None
    exercise: bool = False
    issue: bool = False
    override_reason: Line | None = None
    divert: bool = False


class TaskChange(_TaskFields):
    """What to change of a task; `version` is the one the change was made on."""

    id: UUID | None = None
    version: Version
    kind: Code | None = None
    priority: Priority | None = None
    title: Line | None = None
    instruction: Body | None = None
    reason_code: Code | None = None
    reason: Line | None = None
    exercise: bool | None = None


class SelfTaskIn(Placed):
    """A stop that an officer begins on their own observation: on scene from the start."""

    id: UUID | None = None
    unit_id: UUID | None = None
    kind: Code = "stop_vehicle"
    title: Line | None = None
    reason_code: Literal["officer_observation", "random"]
    reason: Line | None = None
    at: Moment | None = None
    lon: Lon
    lat: Lat
    accuracy_m: AccuracyM | None = None


class TransitionIn(Placed):
    """One step of a task. Dispatchers send `version`; officers' apps `id`, `at` (device time) and the place."""

    id: UUID | None = None
    verb: Verb
    version: Version | None = None
    unit_id: UUID | None = None
    at: Moment | None = None
    accuracy_m: AccuracyM | None = None
    reason_code: Code | None = None
    reason: Line | None = None
    result: Code | None = None
    override_reason: Line | None = None
    divert: bool = False


class TakeIn(Edge):
    """An alert is taken by whoever asks."""

    id: UUID | None = None


class CloseIn(Edge):
    """A panic, or what else a device told, is over; why."""

    id: UUID | None = None
    reason: Reason


class ResolveIn(Edge):
    """How a dispatcher settles that a crew went on with what had been cancelled, and why."""

    id: UUID | None = None
    outcome: Literal["cancel_stands", "work_counts"]
    reason: Reason


class ReceiptIn(Edge):
    """When an officer saw or acknowledged something, by the device's clock; now, unless said."""

    id: UUID | None = None
    at: Moment | None = None


class NoticeAckIn(ReceiptIn):
    """An acknowledgement of a notice; with `state` "cancelled" it confirms that the cancel was read."""

    state: Literal["sent", "cancelled"] = "sent"


class ReplyIn(Edge):
    """What a recipient answers to a notice."""

    id: UUID | None = None
    text: Annotated[Body, Field(min_length=1, max_length=2_000)]
    at: Moment | None = None


class Support(Out):
    """A unit sent in support of a task: how it stands by its own steps, which do not move the task, and since when."""

    unit_id: UUID
    call_sign: str
    status: Status
    since: MomentOut


class Task(Out):
    """A task. `version` counts decisions: a receipt (delivered, seen) does not raise it.

    `conflict`: its crew went on with it after it had been cancelled; a dispatcher says what counts. `messages`,
    `attachments` and `stop_forms` are how many there are. With `form_required` it is completed only once a crew has
    recorded a stop form for it (409 `form_required`); a crew sends the form before the step. A form marked `exercise`
    counts for exercises alone.
    """

    id: UUID
    number: int
    kind: str
    priority: Priority
    status: Status
    version: int
    title: str
    instruction: str
    reason_code: str
    reason: str | None
    point: dict[str, Any] | None
    area: dict[str, Any] | None
    address: str | None
    window_from: MomentOut | None
    window_to: MomentOut | None
    unit_id: UUID | None
    unit_call_sign: str | None
    support_unit_ids: list[UUID]
    supports: list[Support]
    required_capabilities: list[str]
    exercise: bool
    late: bool
    ack_due_at: MomentOut | None
    created_by: UUID | None
    created_at: MomentOut
    issued_at: MomentOut | None
    delivered_at: MomentOut | None
    seen_at: MomentOut | None
    acknowledged_at: MomentOut | None
    en_route_at: MomentOut | None
    on_scene_at: MomentOut | None
    completed_at: MomentOut | None
    cancel_confirmed_at: MomentOut | None
    result: str | None
    messages: int
    attachments: int
    stop_forms: int
    form_required: bool
    conflict: Literal["open", "cancel_stands", "work_counts"] | None


class Transition(Out):
    """What became of a step: `superseded` and `conflict` are kept and shown, but moved nothing."""

    result: Literal["applied", "superseded", "conflict"]
    task: Task


class TaskEvent(Out):
    """One step in a task's history: `at` by the device's clock, `received_at` by the server's.

    `clock_off_s`: how far that clock was ahead when the step was sent, if over 2 min and told (header `X-Device-Time`).
    """

    id: UUID
    verb: str
    from_status: str | None
    to_status: str
    result: str
    version: int
    by: UUID | None
    by_name: str
    unit_id: UUID | None
    at: MomentOut
    received_at: MomentOut
    lon: float | None
    lat: float | None
    accuracy_m: float | None
    reason_code: str | None
    reason: str | None
    clock_off_s: int | None


class NoticeTo(Edge):
    """Whom a notice goes to: the union of what is named."""

    units: Ids | None = None
    offices: Ids | None = None
    area: GeoPolygon | None = None
    everyone: bool = False

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not (self.units or self.offices or self.area or self.everyone):
            raise ValueError("must name units, offices, an area or everyone")
        return self


class NoticeIn(Edge):
    """A notice to send; it is valid for 24 hours unless `valid_to` says otherwise.

    With `supersedes` it replaces that notice: it goes to whoever got the old one and to `to`, which is the old one's
    unless it is given.
    """

    id: UUID | None = None
    kind: Code
    priority: Priority
    headline: Line
    body: Body = ""
    instruction: Body | None = None
    to: NoticeTo | None = None
    valid_to: Moment | None = None
    supersedes: UUID | None = None

    @model_validator(mode="after")
    def _addressed(self) -> Self:
        if self.to is None and self.supersedes is None:
            raise ValueError("must say whom it goes to, or which notice it supersedes")
        return self


class NoticeMade(Out):
    """A notice sent, and to how many people."""

    id: UUID
    number: int
    recipients: int


class NoticeItem(Out):
    """A notice as its recipients get it."""

    id: UUID
    number: int
    kind: str
    priority: Priority
    state: Literal["sent", "superseded", "cancelled", "expired"]
    headline: str
    body: str
    instruction: str | None
    valid_to: MomentOut | None
    created_at: MomentOut
    supersedes: UUID | None
    superseded_by: UUID | None


class Receipt(Out):
    """What became of a notice for one person: `queued_at` is when it was put into their inbox."""

    user_id: UUID
    name: str
    unit_id: UUID | None
    queued_at: MomentOut
    delivered_at: MomentOut | None
    seen_at: MomentOut | None
    acknowledged_at: MomentOut | None
    cancel_confirmed_at: MomentOut | None
    channel: str


class Reply(Out):
    """What a recipient answered: `at` by the device's clock, `received_at` by the server's."""

    id: UUID
    user_id: UUID
    name: str
    unit_id: UUID | None
    text: str
    at: MomentOut
    received_at: MomentOut


class NoticeSummary(NoticeItem):
    """A notice with how many people it went to and how many have it (an officer's own receipt only).

    It ends when it is cancelled or superseded. `unconfirmed`: who had acknowledged it and not confirmed its cancel yet.
    """

    addressed: dict[str, Any]
    created_by: UUID | None
    cancelled_at: MomentOut | None
    ended_at: MomentOut | None
    ended_by_name: str | None
    recipients: int
    delivered: int
    seen: int
    acknowledged: int
    unconfirmed: int
    replied: int


class Notice(NoticeSummary):
    """A notice with every receipt and reply the caller may see."""

    receipts: list[Receipt]
    replies: list[Reply]


class InboxItem(Out):
    """One thing owed to the caller; the body of a task is a Task, that of a notice a NoticeItem."""

    seq: int
    event_id: UUID
    kind: Literal["task", "notice", "message", "system"]
    at: MomentOut
    body: dict[str, Any]


class InboxPage(Out):
    """Items in order; `next` is null when they reach `head_seq`."""

    items: list[InboxItem]
    next: int | None
    head_seq: int


class InboxAckIn(Edge):
    """Everything up to `upto` is stored on this installation."""

    id: UUID | None = None
    install_id: UUID | None = None
    upto: Seq


class InboxAck(Out):
    """The installation's cursor."""

    upto: int
