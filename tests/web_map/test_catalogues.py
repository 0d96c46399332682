"""The message catalogues: both languages say the same things, everything used has a text, and every code has one."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import pytest

from core import codes, errors
from core.errors import OutriderError
from dispatch_api.routes.devices import Protocol
from geo import device_events, trust
from geo.where import _rules
from tasks import alerts, states

SOURCE = Path(__file__).resolve().parents[2] / "web_map" / "client" / "src"
I18N = SOURCE / "shared" / "i18n"
NAMES = sorted(path.name.removesuffix(".en.json").removesuffix("en.json") for path in I18N.glob("*en.json"))
PLACEHOLDER = re.compile(r"\{(\w+)\}")
SERVER_ONLY = {"error", "bad_device_key"}
"""Codes that no page meets."""


def catalogue(name: str, language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((I18N / (f"{name}.{language}.json" if name else f"{language}.json")).read_text())
    return found


def merged(language: str) -> dict[str, str]:
    return {key: text for name in NAMES for key, text in catalogue(name, language).items()}


def script() -> str:
    return "\n".join(path.read_text() for path in sorted(SOURCE.rglob("*.ts")))


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_have_the_same_keys_and_placeholders(name: str) -> None:
    en, lt = catalogue(name, "en"), catalogue(name, "lt")
    assert en.keys() == lt.keys()
    for key in en:
        assert en[key].strip(), key
        assert lt[key].strip(), key
        assert set(PLACEHOLDER.findall(en[key])) == set(PLACEHOLDER.findall(lt[key])), key


def test_no_key_stands_in_two_catalogues() -> None:
    keys = [key for name in NAMES for key in catalogue(name, "en")]
    assert len(keys) == len(set(keys))


def test_every_text_that_is_asked_for_exists() -> None:
    asked = set(re.findall(r"\b(?:t|known)\(\s*\"([^\"]+)\"", script()))
    assert len(asked) > 200
    assert asked - merged("en").keys() == set()


def families(text: str) -> tuple[str, ...]:
    """What keys that are put together begin with: `t(`step.${…}`)`, `code("task_kind", …)`, `option("verb", …)`."""
    prefixes = {found for found in re.findall(r"`([a-z_.]+)\$\{", text) if "." in found}
    lists = re.findall(r"\b(?:code|label|option|select|options|choices|codeList)\(\s*\"([a-z_]+)\"", text)
    named = {value for value in re.findall(r"\"([a-z_]+)\"", text) if hasattr(codes, value.upper())}
    return tuple(sorted(prefixes | {f"{name}." for name in {*lists, *named}}))


def test_every_text_is_used() -> None:
    text = script()
    quoted, begin = set(re.findall(r"[\"'`]([a-z_]+(?:\.[a-z_0-9]+)*)[\"'`]", text)), families(text)
    unused = [key for key in merged("en") if key not in quoted and not key.startswith(begin)]
    assert unused == []


def every_error() -> set[str]:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, OutriderError)]
    return {kind.code for kind in kinds}


CODES: dict[str, Iterable[str]] = {
    "task_kind": codes.TASK_KIND,
    "task_priority": codes.TASK_PRIORITY,
    "task_status": {arrow.to for _, arrow in states._arrows()},
    "task_result": codes.TASK_RESULT,
    "control_reason": codes.CONTROL_REASON,
    "decline_reason": codes.DECLINE_REASON,
    "fail_reason": codes.FAIL_REASON,
    "pause_reason": codes.PAUSE_REASON,
    "notice_kind": codes.NOTICE_KIND,
    "notice_state": ("expired", "cancelled", "superseded"),
    "unit_kind": codes.UNIT_KIND,
    "unit_status": codes.UNIT_STATUS,
    "capability": codes.CAPABILITY,
    "violation_category": codes.VIOLATION_CATEGORY,
    "control_type": codes.CONTROL_TYPE,
    "measure": codes.MEASURE,
    "method": codes.METHOD,
    "goods_category": codes.GOODS_CATEGORY,
    "quantity_unit": codes.QUANTITY_UNIT,
    "no_seizure_reason": codes.NO_SEIZURE_REASON,
    "consultation_reason": codes.CONSULTATION_REASON,
    "verb": {verb for (_, verb), _ in states._arrows()}
    | {"seen", "update", "support", "withdraw", "take", "escalate", "resolve", "close_alarm"},
    "reason_code": {
        *codes.DECLINE_REASON,
        *codes.PAUSE_REASON,
        "deputy",
        "no_deputy",
        "supervisors",
        "no_supervisor",
        "messages",
        "no_address",
    },
    "reason": {rule.code for rule in _rules("dog")},
    "shortfall": {rule.shortfall for rule in _rules("dog")},
    "guard": ("place", "shift", "capability", "lead"),
    "alert": set(alerts._TEXTS),
    "device_event": device_events.EVENTS,
    "alert.reached": ("deputy", "supervisors", "messages", "no_address"),
    "event_result": ("superseded", "conflict"),
    "officer.late": ("superseded", "conflict"),
    "conflict": ("open", "cancel_stands", "work_counts"),
    "device_protocol": get_args(Protocol),
    "trust.reason": {*trust.CODES, "clock_ahead"},
    "error": {*every_error(), "fault", "unreachable"} - SERVER_ONLY,
}


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("language", ["en", "lt"])
def test_every_code_has_a_text(name: str, language: str) -> None:
    texts = merged(language)
    assert len(list(CODES[name])) > 1
    assert [value for value in CODES[name] if f"{name}.{value}" not in texts] == []
