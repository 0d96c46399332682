"""All measurements in one run: `python -m loadtests.bench [--only ingest fanout heat …] [--short] [--write]`.

Everything shares one machine, so figures are ratios of what ran in turn in the same minutes wherever one thing can be
set beside another. Each figure that has a floor is printed with it; the exit code is 1 when one is missed. `--write`
puts the tables into docs/benchmarks.md, between the marks kept there for them.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from loadtests.bench.scratch import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
ARGUMENTS = {
    "ingest": (["--rounds", "3", "--seconds", "5"], ["--rounds", "1", "--seconds", "2"]),
    "fanout": (["--rounds", "2", "--seconds", "30"], ["--rounds", "1", "--seconds", "10"]),
    "crowd": (
        ["--rounds", "1", "--seconds", "30", "--dispatchers", "500"],
        ["--rounds", "1", "--seconds", "10", "--dispatchers", "500"],
    ),
    "pushes": (["--tasks", "100"], ["--tasks", "20"]),
    "officers": (
        ["--rounds", "1", "--seconds", "60", "--dispatchers", "50", "--officers", "1000"],
        ["--rounds", "1", "--seconds", "10", "--dispatchers", "20", "--officers", "300"],
    ),
    "page": (["--rounds", "5"], ["--rounds", "1"]),
    "sockets": (["--rounds", "3", "--frames", "1000"], ["--rounds", "1", "--frames", "200"]),
    "nearest": (["--places", "1000", "--rounds", "5"], ["--places", "100", "--rounds", "2"]),
    "growth": (["--rows", "1000000", "20000000"], ["--rows", "50000", "500000"]),
    "gateway": (["--rounds", "3", "--messages", "30000"], ["--rounds", "1", "--messages", "5000"]),
    "heat": (
        ["--rows", "1000000", "5000000", "--rounds", "5"],
        ["--rows", "50000", "100000", "--rounds", "2"],
    ),
}
"""What each measurement is run with, in full and with --short."""


MODULES = {"crowd": "fanout", "officers": "fanout"}
"""The measurement behind a name, where it is not the name."""


class Line(NamedTuple):
    """One figure: what it is, where it stands in a measurement's output, and what it must be."""

    name: str
    path: str
    unit: str = ""
    floor: float | None = None
    ceiling: float | None = None

    def holds(self, value: float) -> bool:
        """Whether the figure is what it must be."""
        return (self.floor is None or value >= self.floor) and (self.ceiling is None or value <= self.ceiling)

    def wanted(self) -> str:
        """The bound in words; empty where there is none."""
        if self.floor is not None:
            return f"≥ {self.floor:g}"
        return "" if self.ceiling is None else f"≤ {self.ceiling:g}"


LINES: dict[str, list[Line]] = {
    "ingest": [
        Line("single fixes, of a POST that does nothing", "single_to_noop", "x", floor=0.45),
        Line("single fixes, of FastAPI with an INSERT and commit each", "single_to_usual", "x", floor=5),
        Line("single fixes, of the same behind our own HTTP protocol", "single_to_usual_own", "x", floor=5),
        Line("batches of 100, of one connection's binary COPY", "batch_to_copy", "x", floor=0.6),
        Line("single fixes stored", "single_per_s", "/s"),
        Line("fixes in batches stored", "batch_per_s", "/s"),
        Line("rows by binary COPY", "copy_per_s", "/s"),
        Line("a single fix's answer, median", "single_p50_ms", "ms"),
        Line("a single fix's answer, p99", "single_p99_ms", "ms"),
        Line("server CPU for a single fix", "server_cpu_us_per_fix.single", "µs"),
        Line("server CPU for a fix in a batch", "server_cpu_us_per_fix.batch", "µs"),
        Line("server CPU for a POST that does nothing", "server_cpu_us_per_fix.noop", "µs"),
        Line("server CPU for a fix the usual way", "server_cpu_us_per_fix.usual", "µs"),
        Line("server CPU for the same behind our protocol", "server_cpu_us_per_fix.usual_own", "µs"),
    ],
    "fanout": [
        Line("fix sent to frame read, p99", "fix_to_frame_ms.p99", "ms", ceiling=2_000),
        Line("fix sent to frame read, median", "fix_to_frame_ms.p50", "ms"),
        Line("panic button to a dispatcher's screen, p99", "press_to_screen_ms.p99", "ms", ceiling=2_000),
        Line("panic button to a dispatcher's screen, median", "press_to_screen_ms.p50", "ms"),
        Line("task clicked to officer's socket, p99", "click_to_officer_ms.p99", "ms", ceiling=150),
        Line("task clicked to officer's socket, median", "click_to_officer_ms.p50", "ms"),
        Line("first to last dispatcher with one version, p99", "tick_spread_ms.p99", "ms"),
        Line("fix to frame, p99 beside stalled sockets to alone", "stalled_to_alone.fix_to_frame_ms", "x", ceiling=1.2),
        Line("task to officer, p99 beside stalled sockets to alone", "stalled_to_alone.click_to_officer_ms", "x"),
        Line("stalled sockets cut", "stalled_cut"),
        Line("other sockets lost", "lost_sockets", ceiling=0),
        Line("server memory, largest", "server_rss_mib", "MiB", ceiling=400),
        Line("server CPU, of one core", "server_cpu", "x"),
    ],
    "crowd": [
        Line("fix sent to frame read, p99", "fix_to_frame_ms.p99", "ms", ceiling=2_000),
        Line("fix sent to frame read, median", "fix_to_frame_ms.p50", "ms"),
        Line("task clicked to officer's socket, p99", "click_to_officer_ms.p99", "ms"),
        Line("first to last dispatcher with one version, p99", "tick_spread_ms.p99", "ms"),
        Line("other sockets lost", "lost_sockets", ceiling=0),
        Line("server memory, largest", "server_rss_mib", "MiB", ceiling=400),
        Line("server CPU, of one core", "server_cpu", "x"),
    ],
    "pushes": [
        Line("task clicked to push at its service, largest", "click_to_push_ms.max", "ms", ceiling=5_000),
        Line("task clicked to push at its service, p99", "click_to_push_ms.p99", "ms"),
        Line("task clicked to push at its service, median", "click_to_push_ms.p50", "ms"),
        Line("pushes that did not come within 30 s", "lost", ceiling=0),
    ],
    "officers": [
        Line("task clicked to officer's socket, p99", "click_to_officer_ms.p99", "ms", ceiling=250),
        Line("task clicked to officer's socket, median", "click_to_officer_ms.p50", "ms"),
        Line("task clicked to officer's socket, largest", "click_to_officer_ms.max", "ms"),
        Line("fix sent to frame read, p99", "fix_to_frame_ms.p99", "ms", ceiling=2_000),
        Line("other sockets lost", "lost_sockets", ceiling=0),
        Line("server memory, largest", "server_rss_mib", "MiB", ceiling=400),
        Line("server CPU, of one core", "server_cpu", "x"),
    ],
    "page": [
        Line("first visit to the form for the sign-in, processor slowed 4 x", "first_ms", "ms", ceiling=2_000),
        Line("signed in to the task at hand, the page kept on the device, slowed 4 x", "again_ms", "ms", ceiling=2_000),
        Line("without a network to the task at hand, slowed 4 x", "offline_ms", "ms", ceiling=2_000),
        Line("over the line at the first visit, without map data", "first_kb", "kB", ceiling=250),
    ],
    "sockets": [
        Line("frames to 200 screens, of a bare writer of prebuilt frames", "to_bare", "x", floor=0.35),
        Line("frames read a second", "frames_per_s.ours", "/s"),
        Line("frames of the bare writer", "frames_per_s.bare", "/s"),
        Line("memory of an open socket", "kb_a_socket", "kB", ceiling=30),
    ],
    "nearest": [
        Line("places whose ten nearest are those of the geodesic", "equal", "x", floor=1),
        Line("places whose nearest a planar query names wrongly", "planar_wrong", "x"),
        Line("our time to that of the planar query", "to_planar", "x", ceiling=1.7),
        Line("one question, in the database and back", "ms.ours", "ms"),
    ],
    "growth": [
        Line("a position in commits of 1,000: cost at the last size to that at the first", "growth.1000", "x",
             ceiling=1.3),
        Line("a position in commits of 20: cost at the last size to that at the first", "growth.20", "x", ceiling=1.3),
    ],
    "gateway": [
        Line("Teltonika over TCP, of one connection's binary COPY", "teltonika_to_copy", "x", floor=0.5),
        Line("Teltonika records acknowledged", "teltonika_per_s", "/s"),
        Line("rows by binary COPY", "copy_per_s", "/s"),
        Line("OwnTracks messages through Mosquitto, committed", "mqtt_per_s", "/s", floor=2_000),
        Line("Teltonika records decoded by one core", "decoded_per_s", "/s", floor=150_000),
        Line("gateway with 5,000 silent devices", "idle_mib", "MiB", ceiling=250),
    ],
    "heat": [
        Line("country, times faster than ST_SnapToGrid", "times_faster_than_snap_to_grid.country", "x", floor=100),
        Line("country, one category", "times_faster_than_snap_to_grid.country_category", "x"),
        Line("country, nine months", "times_faster_than_snap_to_grid.country_period", "x"),
        Line("country, our time at the last size to that at the first", "growth.country", "x", ceiling=1.3),
        Line("country, counts of the pyramid at the last size to those at the first", "growth.sums", "x"),
        Line("city", "times_faster_than_snap_to_grid.city", "x", floor=2),
        Line("city, one category", "times_faster_than_snap_to_grid.city_category", "x", floor=2),
        Line("city, nine months", "times_faster_than_snap_to_grid.city_period", "x", floor=2),
        Line("country, heat cells", "best_ms#country.ours", "ms"),
        Line("country, one PNG tile", "best_ms#country.tile", "ms"),
        Line("city, heat cells", "best_ms#city.ours", "ms"),
        Line("city, one PNG tile", "best_ms#city.tile", "ms"),
        Line("rows an import stores, the best of 12", "import.per_s", "/s"),
        Line("of what it stores while no counts are kept", "import.kept", "x"),
    ],
}  # fmt: skip
"""What is printed of each measurement; a `#` in a path parts a key that has dots of its own."""


def _value(figures: Any, path: str) -> float:
    head, _, whole = path.partition("#")
    for key in [head, whole] if whole else path.split("."):
        figures = figures[key]
    return float(figures)


def _shown(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if value >= 1_000 else f"{value:.3g}"


def _run(name: str, words: list[str]) -> dict[str, Any]:
    """One measurement in a process of its own, so that none inherits another's memory."""
    command = [sys.executable, "-m", f"loadtests.bench.{MODULES.get(name, name)}", "--json", *words]
    out = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    figures: dict[str, Any] = json.loads(out)
    return figures


def _table(name: str, figures: dict[str, Any]) -> tuple[list[str], int]:
    """Rows of Markdown, and how many figures are not what they must be."""
    rows, missed = ["| | measured | must be |", "|---|---:|---|"], 0
    for line in LINES[name]:
        value = _value(figures, line.path)
        missed += not line.holds(value)
        verdict = line.wanted() + ("" if line.holds(value) else " **missed**")
        rows.append(f"| {line.name} | {_shown(value)} {line.unit} | {verdict} |")
    return rows, missed


def machine() -> str:
    cpu = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores ({cpu.group(1) if cpu else platform.machine()}), "
        f"{memory:.0f} GiB, Python {platform.python_version()}"
    )


def put_table(name: str, lines: list[str]) -> None:
    """Put these lines between the marks of that name in docs/benchmarks.md."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    fresh = "\n".join([begin, *lines, end])
    page, found = re.subn(f"{begin}.*?{end}", lambda _: fresh, PAGE.read_text(), flags=re.DOTALL)
    if not found:
        raise SystemExit(f"{PAGE.relative_to(ROOT)} has no place for `{name}`.")
    PAGE.write_text(page)


def main(say: Callable[[str], None] = print) -> int:
    """Run and print the measurements; 1 when a figure is not what it must be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(LINES), default=list(LINES))
    parser.add_argument("--short", action="store_true", help="a quick look: fewer rows, rounds and seconds")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    arguments = parser.parse_args()
    missed = 0
    for number, name in enumerate(arguments.only, 1):
        say(f"[{number}/{len(arguments.only)}] {name} …")
        since = time.monotonic()
        figures = _run(name, ARGUMENTS[name][arguments.short])
        rows, fewer = _table(name, figures)
        missed += fewer
        say("\n".join(rows) + f"\n{time.monotonic() - since:.0f} s\n")
        if arguments.write and not arguments.short:
            command = f"python -m loadtests.bench.{MODULES.get(name, name)} {' '.join(ARGUMENTS[name][0])}"
            how = f"{machine()}; `{command}`."
            put_table(name, [how, "", *rows])
    if missed:
        say(f"{missed} figures are not what they must be.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
