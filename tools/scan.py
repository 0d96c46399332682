"""Known faults: bandit over our packages, published advisories against both locks and the web's packages.

`make scan`, or `python tools/scan.py [bandit] [pip-audit] [npm-audit]`. What could not be looked at counts as a fault:
a scanner that skipped something, reached no source of advisories, or named fewer packages than the lock ends with 1.
Python's advisories come from OSV; `OUTRIDER_OSV_URL` names another place with its interface.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
OURS = ("core", "geo", "tasks", "casework", "web_map", "mobile_contract", "dispatch_api")
LOCKS = ("requirements.lock", "requirements-test.lock", "uv.lock.txt")
OSV = "https://api.osv.dev/v1/query"
GRAVE = ("high", "critical")
LASTS_S = 300


@dataclass
class Verdict:
    """What one scanner said."""

    scanner: str
    seen: int = 0
    """Files or packages that were looked at."""
    found: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Everything was looked at, and nothing was found."""
        return self.seen > 0 and not self.found and not self.skipped


def told(command: Sequence[str | Path], cwd: Path) -> tuple[dict[str, Any], str]:
    """The JSON a scanner prints, and what it said of its trouble."""
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=LASTS_S)
        printed = json.loads(done.stdout)
    except (ValueError, OSError, subprocess.TimeoutExpired) as error:
        trouble = "" if isinstance(error, OSError | subprocess.TimeoutExpired) else done.stderr
        return {}, (trouble.strip().splitlines() or [str(error)])[-1][:400]
    return (printed, "") if isinstance(printed, dict) else ({}, "it printed no report")


def bandit(root: Path = ROOT, packages: Sequence[str] = OURS) -> Verdict:
    """bandit from medium severity on. What ruff's same rule was answered for in the code is answered here too."""
    verdict = Verdict("bandit")
    report, trouble = told([BIN / "bandit", "-q", "-ll", "-f", "json", "-x", "node_modules", "-r", *packages], root)
    if trouble:
        verdict.skipped.append(trouble)
    verdict.skipped += [f"{each['filename']}: {each['reason']}" for each in report.get("errors", [])]
    looked = {Path(name) for name in report.get("metrics", {}) if name != "_totals"}
    files = {
        file.relative_to(root)
        for package in packages
        for file in (root / package).rglob("*.py")
        if "node_modules" not in file.parts
    }
    verdict.seen = len(looked)
    verdict.skipped += [f"{name}: not looked at" for name in sorted(files - looked)]
    for each in report.get("results", []):
        if not answered(root / each["filename"], each["line_range"], each["test_id"]):
            verdict.found.append(f"{each['filename']}:{each['line_number']} {each['test_id']} {each['issue_text']}")
    return verdict


def answered(file: Path, lines: Sequence[int], rule: str) -> bool:
    """Whether one of a statement's lines, or the one it ends before, says why `S608` of ruff, `B608` here, is right."""
    text = file.read_text().splitlines()[min(lines) - 1 : max(lines) + 1]
    return any(re.search(rf"# noqa: .*\bS{rule[1:]}\b", line) for line in text)


def locked(lock: Path) -> dict[str, str]:
    """Names and versions that a lock gives this Python."""
    wanted = re.findall(r"^[A-Za-z0-9][^\\\n]*==[^\\\n]*", lock.read_text(), re.MULTILINE)
    parsed = [Requirement(line.strip()) for line in wanted]
    return {each.name.lower(): str(each.specifier)[2:] for each in parsed if not each.marker or each.marker.evaluate()}


def pip_audit(root: Path = ROOT, locks: Sequence[str] = LOCKS, osv_url: str | None = None) -> Verdict:
    """Advisories on every locked version."""
    verdict = Verdict("pip-audit")
    source = osv_url or os.environ.get("OUTRIDER_OSV_URL", OSV)
    words = ["-s", "osv", "--osv-url", source, "--strict", "--disable-pip", "--require-hashes", "-f", "json"]
    for lock in locks:
        command = [BIN / "pip-audit", *words, "--progress-spinner", "off", "-r", lock]
        report, trouble = told(command, root)
        if trouble:
            verdict.skipped.append(f"{lock}: {trouble}")
        looked = set()
        for each in report.get("dependencies", []):
            if reason := each.get("skip_reason"):
                verdict.skipped.append(f"{lock}: {each['name']}: {reason}")
                continue
            looked.add(each["name"].lower())
            verdict.found += [f"{lock}: {each['name']} {each['version']}: {one['id']}" for one in each["vulns"]]
        verdict.seen += len(looked)
        missing = sorted(locked(root / lock).keys() - looked)
        if missing and not trouble:
            verdict.skipped.append(f"{lock}: not looked at: {', '.join(missing)}")
    return verdict


def npm_audit(client: Path = ROOT / "web_map" / "client") -> Verdict:
    """Advisories on the web's packages, from high severity on."""
    sys.path.insert(0, str(ROOT))
    from tools.build_web import NODE, NPM

    report, trouble = told([NODE, NPM, "audit", "--json"], client)
    return of_npm(report, trouble, len(json.loads((client / "package-lock.json").read_text())["packages"]) - 1)


def of_npm(report: dict[str, Any], trouble: str, wanted: int) -> Verdict:
    """The verdict of npm's report on so many locked packages."""
    verdict = Verdict("npm-audit")
    if error := report.get("error") or report.get("message"):
        words = [error.get(part) for part in ("summary", "detail", "code")] if isinstance(error, dict) else [str(error)]
        trouble = next(filter(None, words), "npm reached no source of advisories")
    verdict.seen = 0 if trouble else report.get("metadata", {}).get("dependencies", {}).get("total", 0)
    if trouble or verdict.seen < wanted:
        verdict.skipped.append(trouble or f"only {verdict.seen} of {wanted} packages were looked at")
    for name, each in report.get("vulnerabilities", {}).items():
        if each["severity"] in GRAVE:
            verdict.found.append(f"{name}: {each['severity']}")
    return verdict


SCANNERS: dict[str, Callable[[], Verdict]] = {"bandit": bandit, "pip-audit": pip_audit, "npm-audit": npm_audit}


def show(verdict: Verdict) -> str:
    """A verdict for people."""
    lines = [f"{verdict.scanner}: {verdict.seen} looked at, {'good' if verdict.good else 'NOT GOOD'}"]
    lines += [f"  found    {line}" for line in verdict.found] + [f"  SKIPPED  {line}" for line in verdict.skipped]
    return "\n".join(lines)


def main(names: list[str]) -> int:
    """Run the scanners named, or all; 1 when anything was found or skipped."""
    if unknown := set(names) - SCANNERS.keys():
        sys.stderr.write(f"usage: python tools/scan.py [{'] ['.join(SCANNERS)}]; there is no {', '.join(unknown)}\n")
        return 2
    verdicts = [SCANNERS[name]() for name in names or SCANNERS]
    print("\n".join(map(show, verdicts)))
    return 0 if all(verdict.good for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
