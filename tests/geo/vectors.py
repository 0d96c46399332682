"""The protocol vectors of tests/fixtures and of the test data, and how a result is compared with what they expect."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.settings import Settings
from dispatch_api.conformance.vectors import NOT_TOLD

FOLDER = Path(__file__).parent.parent / "fixtures/protocol_vectors"
ELSEWHERE = Settings().test_data / "protocol_vectors"
FIELDS = {
    "altitude_m": "altitude_m", "accuracy_m": "accuracy_m", "course_deg": "heading_deg", "battery_pct": "battery_pct",
    "satellites": "satellites",
}  # fmt: skip
"""Of a vector, and of a fix."""
MAY_BE_NOTHING = {"event", "ambiguous"}
NOTHING = {"reject", "no_positions", "login", "incomplete"}


def load(protocol: str) -> list[dict[str, Any]]:
    """Our vectors of a protocol."""
    return _read(FOLDER / f"{protocol}.json")


def everywhere(protocol: str) -> list[dict[str, Any]]:
    """The same and others that are there, of which a name's last counts."""
    file = ELSEWHERE / f"{protocol}.json"
    found = [*(_read(file) if file.exists() else []), *load(protocol)]
    return list({vector["name"]: vector for vector in found}.values())


def _read(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(file.read_text())
    return found


def check(vector: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], received_at: datetime) -> None:
    """Fail unless the rows, one a moment, are what the vector expects. Of nothing it is not said when it was."""
    outcome, expected = vector["outcome"], vector["expected"]
    rows = [row for row in rows if row["lat"] is not None]  # an alarm without a place is no fix
    if outcome in NOTHING or (outcome in MAY_BE_NOTHING and not rows):
        assert not rows, vector["name"]
        return
    assert len(rows) == len(expected), vector["name"]
    for row, wanted in zip(rows, expected, strict=True):
        at = datetime.fromisoformat(wanted["time"]) if wanted["time"] else received_at
        assert abs(row["fix_at"] - at) <= timedelta(milliseconds=1 if wanted["time"] else 10_000)
        assert (row["lat"], row["lon"]) == pytest.approx((wanted["lat"], wanted["lon"]), abs=1e-6)
        for name, ours in FIELDS.items():
            if name not in wanted and name in NOT_TOLD.get(vector.get("protocol", ""), ()):
                continue
            assert row[ours] == pytest.approx(wanted[name]) if name in wanted else row[ours] is None, name
        if "speed_kmh" in wanted:
            assert row["speed_mps"] * 3.6 == pytest.approx(wanted["speed_kmh"], abs=0.01)
        else:
            assert row["speed_mps"] is None
