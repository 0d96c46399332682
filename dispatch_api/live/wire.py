"""Messages as text, put together from parts that were encoded once (their meaning: mobile_contract/messages.py)."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from core.db import utcnow
from geo.delivery import Latest
from geo.where import short
from mobile_contract.fields import utc_text
from mobile_contract.messages import COLUMNS, HEARTBEAT_S

_ENCODER = msgspec.json.Encoder(enc_hook=str)
_COLUMNS = _ENCODER.encode(COLUMNS).decode()

DEGREE_DIGITS = 6
"""0.1 m; what a tracker can know is far less."""


def text(value: Any) -> str:
    """JSON of a plain value."""
    return _ENCODER.encode(value).decode()


def row(latest: Latest, status: str) -> str:
    """One unit's row of a `units` table. Only plausible fixes move a unit, so it is never suspect."""
    return text((
        latest.unit_id, round(latest.lon, DEGREE_DIGITS), round(latest.lat, DEGREE_DIGITS), utc_text(latest.fix_at),
        short(latest.heading_deg), short(latest.speed_mps), short(latest.accuracy_m), status, False,
    ))  # fmt: skip


def _message(kind: str, rest: str) -> str:
    return f'{{"kind":"{kind}","at":"{utc_text(utcnow())}",{rest}}}'


def welcome() -> str:
    """The connection stands."""
    return _message("welcome", f'"server_time":"{utc_text(utcnow())}","heartbeat_s":{HEARTBEAT_S}')


def snapshot(as_of: datetime, version: int, rows: Iterable[str], **shelves: str) -> str:
    """Everything in view; each of `shelves` (tasks, notices, alerts, handovers) is a JSON array."""
    listed = ",".join(f'"{name}":{array}' for name, array in shelves.items())
    return _message(
        "snapshot",
        f'"as_of":"{utc_text(as_of)}","version":{version},"units":{{"columns":{_COLUMNS},"rows":[{",".join(rows)}]}},'
        f"{listed}",
    )


def units(as_of: datetime, version: int, rows: Iterable[str], gone: Iterable[str]) -> str:
    """What changed in a view."""
    return _message(
        "units",
        f'"as_of":"{utc_text(as_of)}","version":{version},"columns":{_COLUMNS},"rows":[{",".join(rows)}],'
        f'"gone":[{",".join(gone)}]',
    )


def about(kind: str, resource: str) -> str:
    """A task, notice, alert or hand-over: `kind` names the message and the field that holds the resource (JSON)."""
    return _message(kind, f'"{kind}":{resource}')


def inbox(items: Iterable[str]) -> str:
    """The next items of an inbox, each JSON."""
    return _message("inbox", f'"items":[{",".join(items)}]')


def pong(n: int) -> str:
    """The answer to a ping."""
    return _message("pong", f'"n":{n}')


def beat(as_of: datetime) -> str:
    """What was told holds as of this moment."""
    return _message("beat", f'"as_of":"{utc_text(as_of)}"')


def resync(reason: str) -> str:
    """There was a gap: a snapshot follows."""
    return _message("resync", f'"reason":"{reason}"')


def bye(code: int, reason: str) -> str:
    """The server closes the connection."""
    return _message("bye", f'"code":{code},"reason":{text(reason)}')
