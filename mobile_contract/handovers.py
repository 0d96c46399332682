"""The hand-over from one dispatcher to the next: what is open, what was when somebody left, and who confirmed it."""

from typing import Literal
from uuid import UUID

from mobile_contract.fields import Body, Edge, MomentOut, Out
from mobile_contract.resources import Priority, Status


class HandoverIn(Edge):
    """What the dispatcher who leaves has to say; the server itself lists what is open."""

    id: UUID | None = None
    note: Body


class LeftTask(Out):
    """An open task as it stood. `due_at`: by when it must be acknowledged, later when its window ends."""

    id: UUID
    number: int
    priority: Priority
    status: Status
    unit_id: UUID | None
    due_at: MomentOut | None


class LeftNotice(Out):
    """A notice that `confirmed` of the `of` people who must had confirmed: of a cancelled one, that it is cancelled."""

    id: UUID
    number: int
    priority: Priority
    state: Literal["sent", "cancelled"]
    confirmed: int
    of: int


class Silent(Out):
    """A unit on shift that sends no position, or with `device_id` one of its trackers, and when it was last heard."""

    unit_id: UUID
    device_id: UUID | None
    since: MomentOut


class OpenTask(LeftTask):
    """An open task, with what it is about, who has it, and since when it stands."""

    title: str
    call_sign: str | None
    since: MomentOut


class OpenNotice(LeftNotice):
    """A notice not confirmed by everybody."""

    headline: str
    created_at: MomentOut


class OpenSilent(Silent):
    """Who is silent, by name, and which dispatcher has taken it."""

    call_sign: str
    device: str | None
    taken_by_name: str | None


class OpenNow(Out):
    """What is open at this moment, most urgent first: at most 1,000 of each are listed, all are counted."""

    as_of: MomentOut
    n_tasks: int
    n_notices: int
    n_silent: int
    tasks: list[OpenTask]
    notices: list[OpenNotice]
    silent: list[OpenSilent]


class Handover(Out):
    """A hand-over: who left when, with which words and how much open; and which other dispatcher confirmed it."""

    id: UUID
    given_by: UUID
    given_by_name: str
    given_at: MomentOut
    note: str
    n_tasks: int
    n_notices: int
    n_silent: int
    confirmed_by: UUID | None
    confirmed_by_name: str | None
    confirmed_at: MomentOut | None


class Left(Out):
    """What a hand-over lists, as it stood then: at most 1,000 of each."""

    tasks: list[LeftTask]
    notices: list[LeftNotice]
    silent: list[Silent]


class WholeHandover(Handover, Left):
    """A hand-over with what it lists."""
