"""Protocol vectors: a recorded message each, with what a right server stores of it and answers."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.errors import Malformed
from geo.protocols import h02

MAY_BE_NOTHING = {"event", "ambiguous"}
NOTHING = {"reject", "no_positions", "login", "incomplete"}
STORED = {"altitude_m": "altitude_m", "accuracy_m": "accuracy_m", "course_deg": "heading_deg",
          "battery_pct": "battery_pct", "satellites": "satellites", "speed_kmh": "speed_kmh"}  # fmt: skip
"""What a vector may expect of a fix, and the column that holds it."""
NOT_TOLD = {"gt06": {"battery_pct", "altitude_m"}, "h02": {"battery_pct"}, "teltonika": {"battery_pct"}}
"""What a message may say and its vector does not."""
ANGLE_DEG, TIME_S, SPEED_KMH, RECEIVED_S = 1e-6, 0.001, 0.01, 60.0
TRACCAR_ANGLE_DEG = 1e-5
_H02_NAME = re.compile(r"\*\w\w,(\w+),")
_FIELDS = ("name", "protocol", "transport", "outcome", "payload", "payload_encoding", "http", "topic", "steps")


@dataclass(frozen=True)
class Vector:
    """One message, or one conversation of several `steps`."""

    name: str
    protocol: str
    transport: str
    outcome: str
    expected: list[dict[str, Any]]
    payload: str = ""
    payload_encoding: str = "text"
    http: dict[str, Any] = field(default_factory=dict)
    topic: str = ""
    steps: list[dict[str, Any]] = field(default_factory=list)
    reply: bytes | None = None
    identifier: str | None = None
    angle_deg: float = ANGLE_DEG

    @property
    def sent(self) -> bytes:
        """The bytes of its payload."""
        return bytes.fromhex(self.payload) if self.payload_encoding == "hex" else self.payload.encode()


def load(folder: Path, protocol: str | None = None) -> list[Vector]:
    """The vectors of a folder's JSON files, or those of one protocol; raises Malformed for what is none."""
    found = [vector for file in sorted(folder.glob("*.json")) for vector in _of(file)]
    return [vector for vector in found if protocol in {None, vector.protocol}]


def _of(file: Path) -> Iterator[Vector]:
    try:
        for sent in json.loads(file.read_text()):
            yield _vector(sent)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"{file} holds no list of vectors: {type(error).__name__}: {error}.") from error


def _vector(sent: Mapping[str, Any]) -> Vector:
    given = {name: sent[name] for name in _FIELDS if sent.get(name) is not None}
    by_traccar = "traccar" in str(sent.get("source")) and "test" in str(sent.get("expected_from"))
    reply = sent.get("reply_hex")
    made = Vector(
        **({"outcome": "positions"} | given),
        expected=sent.get("expected") or [],
        reply=None if reply is None else bytes.fromhex(reply),
        angle_deg=TRACCAR_ANGLE_DEG if by_traccar else ANGLE_DEG,
    )
    return Vector(**vars(made) | {"identifier": sent.get("imei") or _identifier(made)})


def _identifier(vector: Vector) -> str | None:
    """The name by which the message itself says whose it is, where a server goes by that."""
    said = next((str(each["device_id"]) for each in vector.expected if each.get("device_id")), None)
    if vector.protocol == "h02":
        named = _H02_NAME.match(vector.payload)
        return said or (named[1] if named else h02.identifier(vector.sent, datetime.now(UTC)))
    if vector.protocol == "teltonika" and vector.transport == "udp":
        digits = vector.sent[8:23].decode("ascii", "replace")
        return digits if len(digits) == 15 and digits.isdecimal() else None
    return said if vector.outcome == "login" else None


def difference(vector: Vector, rows: Sequence[Mapping[str, Any]]) -> str | None:
    """In what stored fixes, by time, differ from what is expected; None when they do not.

    Of fixes of the same moment the first is kept. Coordinates, moments and speeds may differ as far as the vectors'
    own description allows, the others by the rounding of four bytes.
    """
    expected = [] if vector.outcome in NOTHING else _by_time(vector)
    if not rows and vector.outcome in MAY_BE_NOTHING:
        return None
    if len(rows) != len(expected):
        return f"{len(rows)} fixes are stored instead of {len(expected)}"
    found = (_differs(vector, row, wanted) for row, wanted in zip(rows, expected, strict=True))
    return next(filter(None, found), None)


def _by_time(vector: Vector) -> list[dict[str, Any]]:
    once: dict[str, dict[str, Any]] = {}
    for wanted in vector.expected:
        once.setdefault(wanted["time"] or "", wanted)
    return [once[at] for at in sorted(once)]


def _differs(vector: Vector, row: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    at = datetime.fromisoformat(wanted["time"]) if wanted["time"] else row["received_at"]
    if abs((row["fix_at"] - at).total_seconds()) > (TIME_S if wanted["time"] else RECEIVED_S):
        return f"time {row['fix_at'].isoformat()} instead of {wanted['time']}"
    for name in ("lat", "lon"):
        if row[name] is None or abs(row[name] - wanted[name]) > vector.angle_deg * 1.000_001:
            return f"{name} {row[name]} instead of {wanted[name]}"
    stored = dict(row) | {"speed_kmh": None if row["speed_mps"] is None else row["speed_mps"] * 3.6}
    for name, column in STORED.items():
        if name not in wanted and name in NOT_TOLD.get(vector.protocol, ()):
            continue
        if not _same(name, stored[column], wanted.get(name)):
            return f"{name} {stored[column]} instead of {wanted.get(name)}"
    return None


def _same(name: str, stored: float | None, wanted: float | None) -> bool:
    if stored is None or wanted is None:
        return stored is None and wanted is None
    return math.isclose(stored, wanted, rel_tol=1e-6, abs_tol=SPEED_KMH if name == "speed_kmh" else 1e-6)
