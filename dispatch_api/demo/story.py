"""What the demonstration tells: offices, crews, a year of violations, a day of tasks and notices. All fictitious.

Everything follows from SEED, the basemap and the day it is loaded; only passwords and keys are random.
"""

import csv
import io
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from core.db import utcnow
from core.ids import new_id
from dispatch_api.demo.world import Place, World

SEED = 20_261_123
VIOLATIONS = 6_000
DAYS = 365
NEAR_DEGREES = 0.012

OFFICES = (("LTVR", "Vilnius territorial customs office", "Vilnius", "V", 16),
           ("LTKR", "Kaunas territorial customs office", "Kaunas", "K", 12),
           ("LTLR", "Klaipėda territorial customs office", "Klaipėda", "L", 12))  # fmt: skip
FIRST = (
    "Jonas",
    "Tomas",
    "Mindaugas",
    "Darius",
    "Rasa",
    "Eglė",
    "Ieva",
    "Lina",
    "Paulius",
    "Andrius",
    "Giedrė",
    "Rūta",
)
LAST = ("Petraitis", "Kazlauskas", "Stankus", "Butkus", "Vaitkus", "Žukas", "Balčytis", "Rimkus", "Šimkus", "Urbonas")
KINDS = ("patrol", "patrol", "patrol", "dog", "patrol", "fast", "scanner", "patrol")
EQUIPMENT = {"patrol": ["fuel_test"], "dog": ["dog"], "fast": ["drone", "weapon_search"], "scanner": ["xray"],
             "boat": []}  # fmt: skip
CATEGORIES = {"tobacco": 40, "fuel": 14, "alcohol": 11, "non_declaration": 10, "cash": 5, "undervaluation": 6,
              "drugs": 5, "ipr_health_safety": 4, "sanctions": 3, "traffic_document": 2}  # fmt: skip
METHODS = ("hidden_compartment", "in_cargo", "in_fuel_tank", "false_documents", "undeclared_open", "balloon_drone")
TASKS = (
    ("stop_vehicle", "indicator", "Stop a lorry with declared granulate", "White lorry, two men. Check the load floor."),
    ("checkpoint", "planned_operation", "Checkpoint on the road from the border", "One hour, passenger cars and vans."),
    ("patrol_area", "planned_operation", "Patrol the hot cells", "Short stops of 10 to 16 minutes, at least every 2 h."),
    ("control_declaration", "rerouted", "Control of a re-routed declaration", "Physical check, compare seal and packages."),
    ("escort", "intelligence", "Escort to the unloading place", "Follow at a distance, do not stop."),
    ("premises_check", "reasonable_doubt", "Check of a warehouse", "Compare the excise register with the stock."),
    ("stop_vehicle", "intelligence", "Van with hidden cigarettes", "Grey van, roof box. Dog if one is near."),
    ("scan_request", "indicator", "Scan a container", "X-ray before it is opened."),
)  # fmt: skip
NOTICES = (
    (
        "be_on_lookout",
        "P2",
        "Grey van with a roof box",
        "Seen last on the road towards the border. Report, do not stop.",
    ),
    ("safety_warning", "P3", "Ice on side roads", "Keep to the main roads until ten o'clock."),
    ("information", "P4", "New seals in use", "Numbers from 480000 on are ours."),
    ("route_closure", "P3", "Bridge closed to lorries", "Until the evening; expect queues on the way round."),
)
OUTCOMES = ("nothing_found", "nothing_found", "violation", "documents_irregular", "minor_irregularity", "nothing_found")


def stop_form(
    task_id: str, reason: str, at: tuple[float, float], result: str, when: datetime | None = None
) -> dict[str, Any]:
    """What a crew records of a control, as it is sent."""
    found = {"no_seizure_reason": "handed_over"} if result == "violation" else {}
    return {
        "id": str(new_id()), "task_id": task_id, "reason_code": reason, "result": result, "coord_source": "gps",
        "first_stopped_at": ((when or utcnow()) - timedelta(minutes=20)).isoformat(), "lon": at[0], "lat": at[1],
        "control_types": ["documentary", "physical_partial"], "findings": "Seal and packages as declared."
        if result == "nothing_found" else "Packages differ from the declaration.",
    } | found  # fmt: skip


@dataclass(frozen=True)
class CrewPlan:
    """A unit of the story, before it is in the database."""

    call_sign: str
    office: str
    kind: str
    capabilities: list[str]
    tracking: str
    base: Place
    names: tuple[str, str]
    on_shift: bool


def crews(world: World) -> list[CrewPlan]:
    """40 units of three offices; one in eight is off duty."""
    random, plans = Random(SEED), []
    for code, _, town, letter, n in OFFICES:
        near = sorted(world.towns, key=lambda t: abs(t.lon - world.town(town).lon) + abs(t.lat - world.town(town).lat))
        for i in range(n):
            boat = letter == "L" and i in {3, 9}
            kind = "boat" if boat else KINDS[(i + ord(letter)) % len(KINDS)]
            names = tuple(f"{random.choice(FIRST)} {random.choice(LAST)}" for _ in range(2))
            base = world.town(town) if boat or i % 3 == 0 else random.choice(near[:14])
            plans.append(
                CrewPlan(
                    f"{letter}-{101 + i}", code, kind, [*EQUIPMENT[kind], "language:ru"][: 2 - boat],
                    "always" if boat else "on_shift", base, (names[0], names[1]), i % 8 != 7,
                )
            )  # fmt: skip
    return plans


def violations_csv(world: World, now: datetime) -> str:
    """A year of violations as the import takes them: clustered at the border and in towns, by hour and season."""
    random = Random(SEED + 1)
    places = [(place, 6.0 / (1 + rank)) for rank, place in enumerate(random.sample(world.crossings, 16))]
    places += [(town, (town.population / 550_000) ** 0.7 * 3) for town in world.towns[:25]]
    names, weights = [p for p, _ in places], [w for _, w in places]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(
        ["id", "occurred_at", "category", "lat", "lon", "accuracy_m", "coord_source", "method", "evaded_duties_eur"]
    )
    for i in range(VIOLATIONS):
        place = random.choices(names, weights)[0]
        border = place.population == 0
        hour = random.choice((22, 23, 0, 1, 2, 3, 4)) if border and random.random() < 0.6 else random.randrange(6, 22)
        day = now - timedelta(days=min(DAYS - 1.0, random.triangular(0, DAYS, 60)))
        at = day.replace(hour=hour, minute=random.randrange(60), second=0, microsecond=0)
        spread = NEAR_DEGREES * (1.6 if border else 1.0)
        office = random.random() < 0.02
        writer.writerow([
            f"demo-{i}", min(at, now - timedelta(minutes=5)).isoformat(),
            random.choices(list(CATEGORIES), list(CATEGORIES.values()))[0],
            round(random.gauss(place.lat, spread / 2), 6), round(random.gauss(place.lon, spread), 6),
            800 if random.random() < 0.02 else round(random.uniform(3, 40), 1),
            "office" if office else "gps" if random.random() < 0.8 else "map",
            random.choice(METHODS), round(random.lognormvariate(6.2, 1.4), 2),
        ])  # fmt: skip
    return out.getvalue()
