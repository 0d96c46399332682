"""Who acts and what they may see and do: the one place that decides, for API, socket, report and export alike.

The matrix is domain.md 3.1 as ruled by interfaces.md 2, for what exists so far. `sees` is what a role may
read wholly; everything else is read only where it is the actor's own (own unit, own inbox, own record).
Row-level security in the database repeats the same rule from the same two values.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from uuid import UUID

from core.errors import NotAllowed


class Role(StrEnum):
    """What a person is."""

    ADMINISTRATOR = "administrator"
    DISPATCHER = "dispatcher"
    OFFICER = "officer"
    SUPERVISOR = "supervisor"
    RISK_ANALYST = "risk_analyst"
    INTELLIGENCE = "intelligence"
    INVESTIGATOR = "investigator"
    INTERNAL_AFFAIRS = "internal_affairs"
    AUDITOR = "auditor"


class May(StrEnum):
    """What a person may do: one value for each kind of route."""

    READ_PEOPLE = "people.read"
    WRITE_PEOPLE = "people.write"
    REPORT_PEOPLE = "people.report"
    READ_OFFICES = "offices.read"
    WRITE_OFFICES = "offices.write"
    READ_UNITS = "units.read"
    WRITE_UNITS = "units.write"
    READ_DEVICES = "devices.read"
    WRITE_DEVICES = "devices.write"
    IMPORT_TRACKS = "tracks.import"
    READ_SHIFTS = "shifts.read"
    PLAN_SHIFTS = "shifts.plan"
    OWN_SHIFT = "shifts.own"
    READ_LIVE = "positions.live"
    READ_TRACK = "positions.track"
    OWN_TRACK = "positions.own_track"
    WATCH_LIVE = "live.watch"
    FIND_NEAREST = "units.nearest"
    READ_TASKS = "tasks.read"
    DRAFT_TASKS = "tasks.draft"
    DISPATCH_TASKS = "tasks.dispatch"
    ACT_ON_TASKS = "tasks.act"
    READ_NOTICES = "notices.read"
    SEND_NOTICES = "notices.send"
    CANCEL_NOTICES = "notices.cancel"
    READ_HANDOVERS = "handovers.read"
    HAND_OVER = "handovers.give"
    OWN_INBOX = "inbox.own"
    RECORD_VIOLATIONS = "violations.record"
    READ_VIOLATIONS = "violations.read"
    IMPORT_VIOLATIONS = "violations.import"
    CORRECT_VIOLATIONS = "violations.correct"
    READ_ANALYSIS = "analysis.read"
    READ_CODE_LISTS = "code_lists.read"
    READ_PATROL = "patrol.read"
    READ_RETENTION = "retention.read"
    READ_HOLDS = "holds.read"
    PLACE_HOLDS = "holds.place"


_EVERYBODY = {May.READ_OFFICES, May.READ_CODE_LISTS}

MATRIX: dict[Role, frozenset[May]] = {
    role: frozenset(_EVERYBODY | grants)
    for role, grants in {
        Role.ADMINISTRATOR: {
            May.READ_PEOPLE, May.WRITE_PEOPLE, May.WRITE_OFFICES, May.READ_UNITS, May.WRITE_UNITS,
            May.READ_DEVICES, May.WRITE_DEVICES, May.READ_RETENTION, May.REPORT_PEOPLE,
        },
        Role.DISPATCHER: {
            May.READ_UNITS, May.READ_SHIFTS, May.PLAN_SHIFTS, May.READ_LIVE, May.READ_TRACK, May.WATCH_LIVE,
            May.FIND_NEAREST, May.READ_TASKS, May.DRAFT_TASKS, May.DISPATCH_TASKS, May.READ_NOTICES,
            May.SEND_NOTICES, May.CANCEL_NOTICES, May.READ_HANDOVERS, May.HAND_OVER, May.READ_VIOLATIONS,
            May.READ_ANALYSIS,
        },
        Role.OFFICER: {
            May.READ_UNITS, May.OWN_SHIFT, May.READ_LIVE, May.OWN_TRACK, May.READ_TASKS, May.ACT_ON_TASKS,
            May.READ_NOTICES, May.OWN_INBOX, May.RECORD_VIOLATIONS, May.READ_VIOLATIONS,
        },
        Role.SUPERVISOR: {
            May.READ_PEOPLE, May.READ_UNITS, May.READ_DEVICES, May.READ_SHIFTS, May.READ_LIVE, May.WATCH_LIVE,
            May.READ_TASKS, May.DRAFT_TASKS, May.READ_NOTICES, May.READ_HANDOVERS, May.READ_VIOLATIONS,
            May.IMPORT_VIOLATIONS, May.READ_ANALYSIS, May.READ_PATROL, May.CORRECT_VIOLATIONS, May.IMPORT_TRACKS,
        },
        Role.RISK_ANALYST: {
            May.READ_UNITS, May.READ_TASKS, May.DRAFT_TASKS, May.READ_NOTICES, May.SEND_NOTICES,
            May.READ_VIOLATIONS, May.IMPORT_VIOLATIONS, May.READ_ANALYSIS, May.READ_PATROL,
        },
        Role.INTELLIGENCE: {
            May.READ_UNITS, May.READ_TASKS, May.DRAFT_TASKS, May.READ_NOTICES, May.SEND_NOTICES,
            May.READ_VIOLATIONS, May.READ_ANALYSIS,
        },
        Role.INVESTIGATOR: {
            May.READ_UNITS, May.READ_NOTICES, May.READ_VIOLATIONS, May.CORRECT_VIOLATIONS, May.READ_HOLDS,
            May.PLACE_HOLDS,
        },
        Role.INTERNAL_AFFAIRS: {
            May.READ_PEOPLE, May.READ_UNITS, May.READ_DEVICES, May.READ_ANALYSIS, May.READ_RETENTION,
            May.READ_HOLDS, May.PLACE_HOLDS, May.REPORT_PEOPLE,
        },
        Role.AUDITOR: {
            May.READ_PEOPLE, May.READ_UNITS, May.READ_DEVICES, May.READ_TASKS, May.READ_NOTICES,
            May.READ_HANDOVERS, May.READ_VIOLATIONS, May.READ_ANALYSIS, May.READ_RETENTION, May.READ_HOLDS,
        },
    }.items()
}  # fmt: skip

_CENTRE_UNITS = {"units", "shifts"}
SEES: dict[Role, frozenset[str]] = {
    Role.ADMINISTRATOR: frozenset({"units", "devices", "role_grants"}),
    Role.DISPATCHER: frozenset(_CENTRE_UNITS | {"devices", "positions", "tasks", "notices", "handovers", "violations"}),
    Role.OFFICER: frozenset(),
    Role.SUPERVISOR: frozenset(
        _CENTRE_UNITS
        | {"devices", "positions", "tasks", "notices", "handovers", "violations", "recoveries", "role_grants"}
    ),
    Role.RISK_ANALYST: frozenset({"units", "tasks", "notices", "violations"}),
    Role.INTELLIGENCE: frozenset({"units", "tasks", "notices", "violations"}),
    Role.INVESTIGATOR: frozenset({"units", "notices", "violations", "recoveries"}),
    Role.INTERNAL_AFFAIRS: frozenset({"units", "devices", "violations", "holds", "role_grants"}),
    Role.AUDITOR: frozenset(
        {"units", "devices", "tasks", "notices", "handovers", "violations", "audit", "holds", "role_grants"}
    ),
}
"""Kinds of rows a role reads wholly."""


ALL = frozenset({"*"})


@cache
def _given(roles: frozenset[Role]) -> tuple[frozenset[May], frozenset[str]]:
    """What these roles permit and show together; the same two sets for all who have them."""
    return frozenset().union(*(MATRIX[role] for role in roles)), frozenset().union(*(SEES[role] for role in roles))


@dataclass(frozen=True, slots=True)
class Actor:
    """A person (or the system) at work: identity, roles, and the units that are their own."""

    user_id: UUID | None
    login: str
    name: str = ""
    roles: frozenset[Role] = frozenset()
    office_id: UUID | None = None
    unit_ids: frozenset[UUID] = frozenset()
    session_id: UUID | None = None
    install_id: UUID | None = None
    address: str = ""
    request_id: str = ""
    permissions: frozenset[May] = field(init=False)
    sees: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Work out once what the roles give."""
        granted, seen = _given(self.roles)
        object.__setattr__(self, "permissions", granted)
        object.__setattr__(self, "sees", seen if self.user_id else ALL)

    def may(self, what: May) -> bool:
        """Whether the roles give this."""
        return what in self.permissions

    def demand(self, *what: May) -> None:
        """Nothing when the roles give one of these, else NotAllowed."""
        if not self.permissions.intersection(what):
            raise NotAllowed

    def sees_all(self, kind: str) -> bool:
        """Whether all rows of a kind are open to the actor, not only their own."""
        return kind in self.sees or "*" in self.sees

    @property
    def id(self) -> UUID:
        """The person's id; for routes that only people reach."""
        if self.user_id is None:
            raise NotAllowed
        return self.user_id


def system(purpose: str) -> Actor:
    """The actor of background work and of sign-in, before a person is known; sees every row."""
    return Actor(user_id=None, login=f"system:{purpose}")
