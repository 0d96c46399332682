"""Settings that cannot be used are told in a sentence each, without their value."""

import pytest

from core.settings import Settings


def test_what_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SMS_FIELDS": "{s3cret",
        "SMS_HEADERS": '["s3cret"]',
        "PORT": "s3cret",
        "ACK_P1_S": "1",
    }.items():
        monkeypatch.setenv(f"OUTRIDER_{name}", value)
    with pytest.raises(SystemExit) as ended:
        Settings.read()
    told = str(ended.value)
    assert {line.partition(":")[0] for line in told.splitlines()} == {
        "OUTRIDER_SMS_FIELDS", "OUTRIDER_SMS_HEADERS", "OUTRIDER_PORT", "OUTRIDER_ACK_P1_S",
    }  # fmt: skip
    assert "OUTRIDER_SMS_FIELDS: It is not JSON (" in told
    assert "s3cret" not in told


def test_json_settings_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTRIDER_SMS_FIELDS", '{"to": ["{to}"], "text": "{text}"}')
    assert Settings.read().sms_fields == {"to": ["{to}"], "text": "{text}"}
