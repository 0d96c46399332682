"""What the centre decides about units in support of a task; how they stand is in the task (resources.py)."""

from uuid import UUID

from mobile_contract.fields import Edge, Reason, Version


class SupportIn(Edge):
    """A unit to support a task; with `version` it is not sent when the centre decided something else meanwhile."""

    id: UUID | None = None
    unit_id: UUID
    version: Version | None = None


class WithdrawIn(Edge):
    """A unit is to support a task no longer, and why; `version` as for sending it."""

    id: UUID | None = None
    version: Version | None = None
    reason: Reason
