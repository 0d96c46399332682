"""What officers and the operational centre say to each other beside a task's steps: messages, calls for support, panic.

Each message is an inbox item of kind `message` for the crews of its task; the centre sees the task change.
"""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from mobile_contract.fields import AccuracyM, Body, Code, Edge, Lat, Lon, Moment, MomentOut, Out
from mobile_contract.resources import Priority

Text = Annotated[Body, Field(min_length=1, max_length=2_000)]


class MessageIn(Edge):
    """A message about a task, by its crew or by the centre; `at` by the device's clock."""

    id: UUID | None = None
    text: Text
    at: Moment | None = None


class Message(Out):
    """A message of a task's thread. `delivered_at`: the first tablet of the crew stored it (those of the centre)."""

    id: UUID
    task_id: UUID
    kind: Literal["message", "support"]
    text: str
    by: UUID | None
    by_name: str
    unit_id: UUID | None
    from_centre: bool
    at: MomentOut
    received_at: MomentOut
    delivered_at: MomentOut | None


class SupportRequestIn(Edge):
    """A call for another unit at the task's place, or where the officer is; the centre decides who comes."""

    id: UUID | None = None
    capability: Code | None = None
    priority: Priority = "P2"
    text: Annotated[Body, Field(max_length=2_000)] = ""
    at: Moment | None = None
    lon: Lon | None = None
    lat: Lat | None = None
    accuracy_m: AccuracyM | None = None


class PanicIn(Edge):
    """An officer in danger: the alarm of every dispatcher at once, on duty or not. The last good place, if known."""

    id: UUID
    at: Moment | None = None
    lon: Lon | None = None
    lat: Lat | None = None
    accuracy_m: AccuracyM | None = None


class Panic(Out):
    """The alarm stands: the number of the task it became."""

    id: UUID
    number: int
    raised_at: MomentOut
