"""How long a task may wait to be acknowledged, by priority; each further step of its escalation is given as long."""

from collections.abc import Mapping
from datetime import timedelta

from core.settings import Settings

Limits = Mapping[str, timedelta]
"""By priority."""


def limits_of(settings: Settings) -> Limits:
    """The limits as they are set."""
    seconds = {"P1": settings.ack_p1_s, "P2": settings.ack_p2_s, "P3": settings.ack_p3_s, "P4": settings.ack_p4_s}
    return {priority: timedelta(seconds=value) for priority, value in seconds.items()}


STANDARD: Limits = {
    "P1": timedelta(seconds=60),
    "P2": timedelta(minutes=3),
    "P3": timedelta(minutes=15),
    "P4": timedelta(hours=1),
}
"""The limits nothing else is set for (domain.md 2.3)."""
