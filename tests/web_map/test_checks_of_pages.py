"""The officer's page doubts plates, containers and chassis numbers exactly as the server does."""

import json
import random
import subprocess
from pathlib import Path
from typing import Any

from casework import checks
from mobile_contract.stop_forms import Vehicle
from tests.helpers import ROOT
from tools.build_web import NODE

CASES = json.loads((ROOT / "tests" / "casework" / "check_cases.json").read_text())
LETTERS = "ABCQWXZUJSK0123456789 -.·/АВСЕЖІЅЈabcавс"
SCRIPT = """
import { readFileSync } from "node:fs";
const { containerDoubts, key, plateDoubts, vehicleDoubts } = await import(process.argv[1]);
const codes = (found) => found.map((one) => one.code);
const asked = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify({
  keys: asked.keys.map(key),
  containers: asked.containers.map((written) => codes(containerDoubts("c", written))),
  plates: asked.plates.map(([written, country]) => codes(plateDoubts("p", written, country))),
  vehicles: asked.vehicles.map((one) => vehicleDoubts(one).map(({ field, code }) => [field, code])),
}));
"""


def of_page(asked: dict[str, Any]) -> dict[str, Any]:
    """What the page's own module answers; Node leaves the types out by itself."""
    module = Path(ROOT / "web_map" / "client" / "src" / "officer" / "checks.ts").as_uri()
    words = [NODE, "--input-type=module", "--disable-warning=ExperimentalWarning", "-e", SCRIPT, module]
    done = subprocess.run(words, input=json.dumps(asked), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_the_page_and_the_server_doubt_the_same() -> None:
    dice = random.Random(6346)
    written = ["".join(dice.choices(LETTERS, k=dice.randint(1, 14))) for _ in range(300)]
    serials = [f"{owner}U{dice.randrange(10**7):07}" for owner in dice.choices(["CSQ", "MSK", "TGH"], k=300)]
    plates = [(text, dice.choice([None, "LT", "PL"])) for text in written]
    plates += [(f"{''.join(dice.choices('ABQWXC', k=3))}{dice.randrange(1000):03}", "LT") for _ in range(100)]
    vehicles = [case["vehicle"] for case in CASES["vehicles"]]
    said = of_page({"keys": written, "containers": written + serials, "plates": plates, "vehicles": vehicles})
    assert said["keys"] == [checks.key(text) for text in written]
    assert said["containers"] == [[w["code"] for w in checks.container("c", text)] for text in written + serials]
    assert said["plates"] == [[w["code"] for w in checks.plate("p", *one, checks.CAR)] for one in plates]
    assert said["vehicles"] == [
        [[w["field"], w["code"]] for w in checks.vehicle(Vehicle.model_validate(one))] for one in vehicles
    ]


def test_the_page_knows_the_same_cases() -> None:
    containers, plates, vehicles = CASES["containers"], CASES["plates"], CASES["vehicles"]
    said = of_page({
        "keys": [], "containers": [case["written"] for case in containers],
        "plates": [(case["written"], case["country"]) for case in plates],
        "vehicles": [case["vehicle"] for case in vehicles],
    })  # fmt: skip
    assert said["containers"] == [case["codes"] for case in containers]
    assert said["plates"] == [case["codes"] for case in plates]
    assert said["vehicles"] == [case["warnings"] for case in vehicles]
