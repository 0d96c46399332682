"""Settings that cannot be used are told in a sentence each, without their value."""

import pytest
from pydantic import ValidationError

from core.settings import Settings


def test_what_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SMS_FIELDS": "{s3cret",
        "SMS_HEADERS": '["s3cret"]',
        "PORT": "s3cret",
        "ACK_P1_S": "1",
        "OPERATING_BBOX": "54.1,s3cret",
        "TRUSTED_PROXIES": "10.0.0.1, s3cret.example",
    }.items():
        monkeypatch.setenv(f"OUTRIDER_{name}", value)
    with pytest.raises(SystemExit) as ended:
        Settings.read()
    told = str(ended.value)
    assert {line.partition(":")[0] for line in told.splitlines()} == {
        "OUTRIDER_SMS_FIELDS", "OUTRIDER_SMS_HEADERS", "OUTRIDER_PORT", "OUTRIDER_ACK_P1_S",
        "OUTRIDER_OPERATING_BBOX", "OUTRIDER_TRUSTED_PROXIES",
    }  # fmt: skip
    assert "OUTRIDER_SMS_FIELDS: It is not JSON (" in told
    assert "s3cret" not in told


def test_json_settings_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTRIDER_SMS_FIELDS", '{"to": ["{to}"], "text": "{text}"}')
    assert Settings.read().sms_fields == {"to": ["{to}"], "text": "{text}"}


@pytest.mark.parametrize("box", ["1,2,3", "1,2,3,x", "27,53,20,56", "20,56,27,53", "20,53,nan,56", "20,53,27,inf", "a"])
def test_a_box_that_is_none_is_refused(box: str) -> None:
    """Else every violation would be answered with a fault, and a tablet send it for ever."""
    with pytest.raises(ValidationError, match="min_lon,min_lat,max_lon,max_lat"):
        Settings(operating_bbox=box)


def test_boxes_and_proxies_are_taken_as_written() -> None:
    for box in ("", " ", "20.5,53.7,27.0,56.6", " -180 , -90, 180,90"):
        assert Settings(operating_bbox=box).operating_bbox == box
    for proxies in ("", "10.0.0.1, 10.1.0.0/16,", "::1,fd00::/8"):
        assert Settings(trusted_proxies=proxies).trusted_proxies == proxies
