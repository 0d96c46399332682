"""What every push is, by whatever channel it goes: without content, the same for everybody, one at a time, for an hour.

Whoever carries it learns that some device was woken, and when.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from core.pushes import Owed, Told
from mobile_contract.session import PushPayload

TTL = timedelta(hours=1)
COLLAPSE = "inbox"
TIMEOUT_S = 10
LONGEST_ASKED_S = 3600.0
PAYLOAD = PushPayload(kind="inbox", v="1").model_dump()


class Sender(Protocol):
    """Who sends pushes of one channel; blocks."""

    def send(self, owed: Sequence[Owed]) -> list[Told]:
        """What became of each; raises nothing: what fails is to be tried again."""
