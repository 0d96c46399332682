"""Times are typed on the pages as they are shown: by clocks in Lithuania, wherever the device thinks it is."""

import json
import os
import random
import subprocess
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.helpers import ROOT
from tools.build_web import NODE

VILNIUS = ZoneInfo("Europe/Vilnius")
MODULE = (ROOT / "web_map" / "client" / "src" / "shared" / "wall_time.ts").as_uri()
SCRIPT = """
import { readFileSync } from "node:fs";
const { atWallTime, startOfDay, wallTime } = await import(process.argv[1]);
const { moments, days } = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify({
  shown: moments.map(wallTime), meant: moments.map((moment) => atWallTime(wallTime(moment))),
  days: days.map((day) => startOfDay(day, 1)),
}));
"""
CHANGES = [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)]


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Vilnius", "Pacific/Auckland"])
def test_what_is_typed_is_what_is_shown(zone: str) -> None:
    dice = random.Random(zone)
    moments = [
        datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=dice.randrange(10 * 365 * 1440)) for _ in range(300)
    ]
    moments += [change + timedelta(minutes=15 * n) for change in CHANGES for n in range(-20, 21)]
    days = [f"{moment:%Y-%m-%d}" for moment in moments]
    asked = json.dumps({"moments": [moment.isoformat() for moment in moments], "days": days})
    words = [NODE, "--input-type=module", "--disable-warning=ExperimentalWarning", "-e", SCRIPT, MODULE]
    done = subprocess.run(words, input=asked, capture_output=True, text=True, check=True, env=os.environ | {"TZ": zone})
    said = json.loads(done.stdout)
    assert said["shown"] == [f"{moment.astimezone(VILNIUS):%Y-%m-%dT%H:%M}" for moment in moments]
    for moment, meant in zip(moments, said["meant"], strict=True):
        twice = (
            moment.astimezone(VILNIUS).replace(fold=0).utcoffset()
            != moment.astimezone(VILNIUS).replace(fold=1).utcoffset()
        )
        off = abs(datetime.fromisoformat(meant) - moment)
        assert off in ({timedelta(0), timedelta(hours=1)} if twice else {timedelta(0)}), moment
    for day, begins in zip(days, said["days"], strict=True):
        next_ = datetime.fromisoformat(day).replace(tzinfo=VILNIUS) + timedelta(days=1)
        assert datetime.fromisoformat(begins) == next_
