"""The closed list of events, and what foreign words mean by it."""

import json
from datetime import UTC, datetime

import pytest

from geo.device_events import ALARMS, EVENTS, OWED, code_of
from geo.protocols import fixes, gt06_status, h02, owntracks, teltonika

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("sos", "panic"), ("SOS", "panic"), ("panic", "panic"), ("powerCut", "power_cut"), ("power_cut", "power_cut"),
        ("POWER-CUT", "power_cut"), ("tampering", "tamper"), ("lowBattery", "low_battery"), ("accident", "crash"),
        ("fallDown", "fall"), ("hardBraking", "harsh_braking"), ("ignitionOn", "ignition_on"), ("tow", "tow"),
        ("overspeed,jamming", "jamming"), ("overspeed, sos", "panic"), ("idle,overspeed", "overspeed"),
        ("motionchange", None), ("visit", None), ("", None), (",", None), (None, None), (True, None), (["sos"], None),
        ("sos" * 100, None), ("=cmd()", None),
    ],
)  # fmt: skip
def test_foreign_words_mean_one_of_the_list_or_nothing(said: object, code: str | None) -> None:
    assert code_of(said) == code


def test_every_decoders_table_keeps_to_the_list() -> None:
    tables = [
        gt06_status.ALARMS, gt06_status.STATUS_ALARMS, gt06_status.DASHCAM_ALARMS, gt06_status.MODULE_ALARMS,
        gt06_status.BOXED_ALARMS, h02.HAPPENED, owntracks.EVENTS, *teltonika.EVENTS.values(),
    ]  # fmt: skip
    assert {code for table in tables for code in table.values()} <= set(EVENTS)
    assert len(EVENTS) == len(set(EVENTS))
    assert set(ALARMS) < OWED < set(EVENTS)


def test_our_own_batches_keep_to_it_too() -> None:
    said = ["sos", "ignition_off", "lunch", None]
    batch = [{"fix_at": "2026-05-01T00:00:00Z", "lat": 1, "lon": 2, "event": word} for word in said]
    for more in ([], [{"fix_at": "2026-05-01T00:00:00Z", "lat": 91, "lon": 2}]):  # the quick way, and one by one
        usable, rejected = fixes.decode(json.dumps({"fixes": batch + more}).encode(), NOW)
        assert [fix.event for fix in usable] == ["panic", "ignition_off", None, None]
        assert len(rejected) == len(more)
