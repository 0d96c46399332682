"""Plates, containers and chassis numbers: how they are compared, and what about one looks wrong. Nothing is refused.

Container check digits after ISO 6346: letters count A = 10 upward without the multiples of 11, the characters weigh
1, 2, 4 … 512, and the sum modulo 11, with 10 as 0, is the last digit.
"""

import re
from datetime import datetime, timedelta
from typing import Any

from mobile_contract.stop_forms import StopFormIn, Vehicle

LOOK_ALIKES = str.maketrans("АВЕКМНОРСТУХІЅЈ", "ABEKMHOPCTYXISJ")
"""Cyrillic capitals that look like Latin ones."""
SEPARATORS = re.compile(r"[\s.\-·/]+")
CAR, TRAILER = re.compile(r"[A-Z]{3}[0-9]{3}"), re.compile(r"[A-Z]{2}[0-9]{3}")
UNUSED_LETTERS = frozenset("QWX")
CONTAINER, VIN = re.compile(r"[A-Z]{3}[UJZ][0-9]{7}"), re.compile(r"[A-HJ-NPR-Z0-9]{17}")
LETTER_VALUES = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", (n for n in range(10, 39) if n % 11), strict=True))
HOME = "LT"
AHEAD = timedelta(minutes=2)

Warnings = list[dict[str, Any]]


def key(written: str) -> str:
    """A plate or number as it is compared: upper case, no separators, Latin letters for Cyrillic that look alike."""
    return SEPARATORS.sub("", written.upper()).translate(LOOK_ALIKES)


def check_digit(container: str) -> int:
    """The check digit of the first ten characters of a container number in upper case."""
    values = (LETTER_VALUES[c] if c in LETTER_VALUES else int(c) for c in container[:10])
    return sum(value << place for place, value in enumerate(values)) % 11 % 10


def _warning(field: str, code: str, detail: str) -> dict[str, Any]:
    return {"field": field, "code": code, "detail": detail}


def _folded(field: str, written: str) -> Warnings:
    plain = SEPARATORS.sub("", written.upper())
    if plain == key(written):
        return []
    return [_warning(field, "look_alike", f"Has Cyrillic letters; compared as {key(written)}.")]


def plate(field: str, written: str, country: str | None, pattern: re.Pattern[str]) -> Warnings:
    """What looks wrong about a plate: of a Lithuanian one, or one without a country, also its form."""
    found, compared = _folded(field, written), key(written)
    if country not in {None, HOME}:
        return found
    if not pattern.fullmatch(compared):
        found.append(_warning(field, "plate_pattern", f"{compared} has not the form of a Lithuanian plate."))
    elif UNUSED_LETTERS & set(compared):
        found.append(_warning(field, "plate_letters", "Lithuanian plates have no Q, W or X."))
    return found


def container(field: str, written: str) -> Warnings:
    """What looks wrong about a container number."""
    found, compared = _folded(field, written), key(written)
    if not CONTAINER.fullmatch(compared):
        found.append(_warning(field, "container_pattern", "Four letters, the last U, J or Z, and seven digits."))
    elif check_digit(compared) != int(compared[10]):
        found.append(_warning(field, "check_digit", f"The last digit would be {check_digit(compared)}."))
    return found


def vehicle(of: Vehicle) -> Warnings:
    """What looks wrong about a vehicle."""
    found: Warnings = []
    if of.plate:
        found += plate("vehicle.plate", of.plate, of.country, CAR)
    if of.trailer_plate:
        found += plate("vehicle.trailer_plate", of.trailer_plate, of.country, TRAILER)
    if of.vin and not VIN.fullmatch(key(of.vin)):
        found.append(_warning("vehicle.vin", "vin", "A VIN has 17 characters, without I, O and Q."))
    for n, number in enumerate(of.containers):
        found += container(f"vehicle.containers.{n}", number)
    return found


def form(body: StopFormIn, now: datetime) -> Warnings:
    """What looks wrong about a stop form."""
    found = vehicle(body.vehicle) if body.vehicle else []
    for name in ("first_stopped_at", "searched_at", "ended_at"):
        moment = getattr(body, name)
        if moment and moment > now + AHEAD:
            found.append(_warning(name, "future", "Lies in the future: the device's clock may be wrong."))
    return found
