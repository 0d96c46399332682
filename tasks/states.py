"""The lifecycle of a task as data: from which status which verb leads where, who may do it, and under what guard.

This table (domain.md 2.4) drives the service, the text of the API and the tests. What is not here does not exist.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

NEW = "(new)"
"""Where a task that does not exist yet comes from."""


class Who(StrEnum):
    """Who moves a task."""

    DISPATCHER = "dispatcher"
    AUTHOR = "author"
    OFFICER = "officer"
    SYSTEM = "system"


@dataclass(frozen=True)
class Arrow:
    """One allowed step: the status it leads to, who may take it, and its guard in words."""

    to: str
    who: frozenset[Who]
    guard: str = ""


_ROWS = (
    (NEW, "create", "draft", "dispatcher author system", "reason_code present; another author's is a proposal"),
    ("draft", "issue", "issued", "dispatcher", "unit on shift, capability fits, point or area set"),
    ("draft", "discard", "discarded", "dispatcher author", "never sent, not counted"),
    ("issued", "deliver", "delivered", "system", "the first inbox acknowledgement that covers it"),
    ("issued delivered", "acknowledge", "acknowledged", "officer", "device time and time of receipt are kept"),
    ("issued delivered acknowledged", "decline", "declined", "officer", "coded reason"),
    ("issued delivered", "unacknowledge", "unacknowledged", "system", "ack_due_at passed"),
    ("unacknowledged", "acknowledge", "acknowledged", "officer", "the late flag stays"),
    ("unacknowledged declined paused", "reassign", "issued", "dispatcher", "as for issue"),
    ("acknowledged", "en_route", "en_route", "officer", "the unit's status follows"),
    ("acknowledged en_route", "on_scene", "on_scene", "officer", "the point is stored"),
    ("acknowledged en_route on_scene", "pause", "paused", "officer dispatcher", "reason"),
    ("paused", "resume", "acknowledged", "officer dispatcher", "the same unit resumes"),
    (NEW, "self_initiate", "on_scene", "officer", "reason officer_observation or random, point taken"),
    ("on_scene", "complete", "completed", "officer", "the stop form is there, if one is required"),
    ("acknowledged en_route on_scene", "fail", "failed", "officer", "result not_found or not_carried_out"),
    ("completed failed", "close", "closed", "dispatcher system", "after complete: as for that; by itself after 24 h"),
    ("completed", "return", "on_scene", "dispatcher", "reason; for correction"),
    (
        "issued delivered unacknowledged acknowledged declined en_route on_scene paused",
        "cancel", "cancelled", "dispatcher", "reason; the officer confirms it if already acknowledged",
    ),
    ("issued delivered unacknowledged", "expire", "expired", "system", "window_to passed"),
)  # fmt: skip


def _arrows() -> Iterator[tuple[tuple[str, str], Arrow]]:
    for sources, verb, to, who, guard in _ROWS:
        for source in sources.split():
            yield (source, verb), Arrow(to, frozenset(map(Who, who.split())), guard)


TABLE: dict[tuple[str, str], Arrow] = dict(_arrows())
"""(from status, verb) -> arrow."""

STATUSES = tuple(dict.fromkeys(arrow.to for arrow in TABLE.values()))
TERMINAL = frozenset({"closed", "cancelled", "expired", "discarded"})
OPEN = frozenset(STATUSES) - TERMINAL
STILL_OPEN = (
    "(status = ANY(:open) OR conflict = 'open'"
    " OR (status = 'cancelled' AND acknowledged_at IS NOT NULL AND cancel_confirmed_at IS NULL))"
)
"""SQL over a task, `:open` being OPEN: it has not ended, or its end is still to be settled or confirmed."""
AT_WORK = frozenset({"acknowledged", "en_route", "on_scene"})
"""What a diverted unit leaves."""
BINDING = AT_WORK | {"issued", "delivered"}
"""What makes a unit assigned, en route or on scene."""

PART_OVER = frozenset({"declined", "completed", "failed", "cancelled"})
"""A supporting unit that stands so has left the task; it may be sent again."""


def verbs_of(who: Who) -> frozenset[str]:
    """The verbs that one kind of person has in any status."""
    return frozenset(verb for (_, verb), arrow in TABLE.items() if who in arrow.who)


CENTRE_VERBS = (verbs_of(Who.DISPATCHER) | verbs_of(Who.AUTHOR)) - {"create"}
OFFICER_VERBS = verbs_of(Who.OFFICER) - {"self_initiate"}


def step(status: str, verb: str, who: Who) -> Arrow | None:
    """The arrow that `verb` takes from `status` for this person, or None when there is none."""
    arrow = TABLE.get((status, verb))
    return arrow if arrow and who in arrow.who else None


def too_late(status: str) -> str:
    """What becomes of an officer's step that has no arrow any more: against a cancel it is a conflict."""
    return "conflict" if status == "cancelled" else "superseded"


def as_markdown() -> str:
    """The table for the API's description."""
    head = "| From | Verb | To | Who | Guard |\n|---|---|---|---|---|\n"
    return head + "\n".join(
        f"| {sources.replace(' ', ', ')} | {verb} | {to} | {who.replace(' ', ', ')} | {guard} |"
        for sources, verb, to, who, guard in _ROWS
    )
