"""The scanners of `make scan` are shown a planted fault each, and find it; what they skip is a fault as well."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tools import scan

FAULTY = {"name": "idna", "version": "3.4"}
LOCK = f"""\
idna==3.4 \\
    --hash=sha256:{"90" * 32}
sniffio==1.3.1 \\
    --hash=sha256:{"ab" * 32}
tomli==2.0.1 ; python_full_version < '3.0' \\
    --hash=sha256:{"cd" * 32}
"""


def test_our_packages_hold_nothing_bandit_finds() -> None:
    verdict = scan.bandit()
    assert verdict.good, scan.show(verdict)
    assert verdict.seen > 200


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import subprocess\nsubprocess.call(input(), shell=True)\n", "B602"),
        ("import pickle\npickle.loads(input().encode())\n", "B301"),
        ("def f(c, x):\n    c.execute(f'SELECT 1 FROM t WHERE a = {x}')  # noqa: S301\n", "B608"),
    ],
)
def test_bandit_finds_what_was_planted(tmp_path: Path, code: str, found: str) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "planted.py").write_text(code)
    verdict = scan.bandit(tmp_path, ["ours"])
    assert not verdict.good
    assert [line for line in verdict.found if found in line]


def test_a_file_bandit_cannot_read_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "broken.py").write_text("def (:\n")
    verdict = scan.bandit(tmp_path, ["ours"])
    assert not verdict.good
    assert verdict.skipped
    assert not scan.bandit(tmp_path, ["nothing-of-this-name"]).good


@pytest.fixture
def advisories() -> Iterator[str]:
    """A source of advisories like OSV's on loopback, which knows one fault."""

    class Osv(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hit = {"name": asked["package"]["name"], "version": asked["version"]} == FAULTY
            ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.7"}]}]
            known = {
                "id": "PYSEC-2024-60", "aliases": [], "summary": "planted", "published": "2024-01-01T00:00:00Z",
                "affected": [{"package": {"name": "idna", "ecosystem": "PyPI"}, "ranges": ranges}],
            }  # fmt: skip
            body = json.dumps({"vulns": [known]} if hit else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Osv)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()


def test_a_version_with_an_advisory_is_found(tmp_path: Path, advisories: str) -> None:
    (tmp_path / "a.lock").write_text(LOCK)
    verdict = scan.pip_audit(tmp_path, ["a.lock"], advisories)
    assert verdict.skipped == []
    assert verdict.found == ["a.lock: idna 3.4: PYSEC-2024-60"]
    (tmp_path / "a.lock").write_text(LOCK.replace("3.4", "3.10"))
    verdict = scan.pip_audit(tmp_path, ["a.lock"], advisories)
    assert verdict.good, scan.show(verdict)
    assert verdict.seen == 2


def test_without_a_source_of_advisories_nothing_is_good(tmp_path: Path) -> None:
    (tmp_path / "a.lock").write_text(LOCK)
    verdict = scan.pip_audit(tmp_path, ["a.lock"], "http://127.0.0.1:9/v1/query")
    assert not verdict.good
    assert "Connection refused" in verdict.skipped[0]


def test_every_locked_package_is_one_to_look_at() -> None:
    locked = scan.locked(scan.ROOT / "requirements.lock")
    assert locked["fastapi"] > "0.1"
    assert len(locked) > 90
    assert locked.keys() <= scan.locked(scan.ROOT / "requirements-test.lock").keys(), "tests run what people run"


@pytest.mark.parametrize(
    ("report", "trouble", "good"),
    [
        ({"metadata": {"dependencies": {"total": 5}}, "vulnerabilities": {}}, "", True),
        ({"metadata": {"dependencies": {"total": 5}}, "vulnerabilities": {"x": {"severity": "low"}}}, "", True),
        ({"metadata": {"dependencies": {"total": 5}}, "vulnerabilities": {"x": {"severity": "high"}}}, "", False),
        ({"metadata": {"dependencies": {"total": 4}}, "vulnerabilities": {}}, "", False),
        ({"error": {"code": "ENOAUDIT", "summary": ""}}, "", False),
        ({"error": {"summary": "", "detail": ""}}, "", False),
        ({"message": "not found"}, "", False),
        ({}, "npm died", False),
        ({}, "", False),
    ],
)
def test_npms_report_counts_only_when_it_is_whole(report: dict[str, Any], trouble: str, good: bool) -> None:
    verdict = scan.of_npm(report, trouble, 5)
    assert verdict.good is good
    assert good or any(verdict.found + verdict.skipped), "it says why"


def test_the_command_ends_with_an_error_when_anything_was_skipped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, half = scan.Verdict("a", seen=3), scan.Verdict("b", seen=3, skipped=["x: no source"])
    monkeypatch.setattr(scan, "SCANNERS", {"a": lambda: whole, "b": lambda: half, "c": lambda: scan.Verdict("c")})
    assert scan.main(["a"]) == 0
    assert scan.main([]) == 1
    assert "SKIPPED  x: no source" in capsys.readouterr().out
    assert scan.main(["c"]) == 1
    assert scan.main(["d"]) == 2
