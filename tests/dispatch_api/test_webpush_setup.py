"""The key of Web Push: made once, kept private, and what doctor says where something is wrong."""

from pathlib import Path

import pytest

from core.settings import Settings
from dispatch_api.process import doctor
from dispatch_api.webpush import keys


def test_a_key_is_made_once_and_doctor_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(data_dir=tmp_path)
    assert keys.init(settings, "not an address") == 1
    assert keys.init(settings, "duty@customs.example") == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if "OUTRIDER_" in line]
    said = {name.removeprefix("OUTRIDER_").lower(): value for name, value in (line.split("=") for line in lines)}
    ready = Settings.model_validate({"data_dir": tmp_path, **said})
    file = tmp_path.resolve() / "webpush" / "vapid.key"
    assert file.stat().st_mode & 0o077 == 0
    made = keys.identity(ready)
    assert made
    assert keys.init(settings, "duty@customs.example") == 0
    again = keys.identity(ready)
    assert again
    assert again.public_key == made.public_key, "a second key would make every browser's target useless"
    assert dict(doctor.checks(ready))["pushes to browsers"] is None
    assert "pushes to browsers" not in dict(doctor.checks(settings))
    (tmp_path / "rsa.key").write_text("-----BEGIN PRIVATE KEY-----\n")
    for wrong, word in (
        ({"webpush_contact": None}, "only together"), ({"webpush_key": None}, "only together"),
        ({"webpush_contact": "mailto:nobody"}, "mailto:"), ({"webpush_key": tmp_path / "none"}, "cannot be read"),
        ({"webpush_key": tmp_path / "rsa.key"}, "P-256"), ({"webpush_ca": tmp_path / "none"}, "is no file"),
        ({"webpush_hosts": "https://push.example"}, "OUTRIDER_WEBPUSH_HOSTS"), ({"webpush_hosts": " "}, "nothing"),
    ):  # fmt: skip
        broken = ready.model_copy(update=wrong)
        assert word in (dict(doctor.checks(broken))["pushes to browsers"] or ""), wrong
        assert keys.identity(broken) is None
    file.chmod(0o644)
    assert "chmod 600" in (dict(doctor.checks(ready))["pushes to browsers"] or "")
