"""Plates and numbers: what is known to be right passes, what is known to be wrong is told, and how they compare."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casework import checks
from mobile_contract.stop_forms import Vehicle

CASES = json.loads((Path(__file__).parent / "check_cases.json").read_text())
"""What the officers' page is held against as well (tests/web_map/test_checks_of_pages.py)."""


@pytest.mark.parametrize("case", CASES["containers"], ids=lambda case: case["written"])
def test_containers(case: dict[str, Any]) -> None:
    """The first is the example of ISO 6346."""
    assert [warning["code"] for warning in checks.container("c", case["written"])] == case["codes"]


def test_a_sum_of_ten_gives_the_digit_nought() -> None:
    sums = ((n, f"CSQU{n:06}") for n in range(2_000))
    values = ((n, [checks.LETTER_VALUES.get(c) or int(c) for c in written]) for n, written in sums)
    tens = [n for n, digits in values if sum(digit << i for i, digit in enumerate(digits)) % 11 == 10][:3]
    assert [checks.check_digit(f"CSQU{n:06}") for n in tens] == [0, 0, 0]


@given(st.integers(0, 999_999), st.integers(0, 9), st.integers(1, 9))
def test_one_wrong_digit_is_always_noticed_but_for_nought_and_ten(serial: int, place: int, more: int) -> None:
    right = f"CSQU{serial:06}"
    right += str(checks.check_digit(right))
    digits = list(right)
    at = 4 + place % 7
    digits[at] = str((int(digits[at]) + more) % 10)
    told = checks.container("c", "".join(digits))
    if not told:  # the one gap of the standard: a sum of ten and one of nought have the same digit
        assert right[10] == "0"


@pytest.mark.parametrize("case", CASES["plates"], ids=lambda case: f"{case['written']} {case['country']}")
def test_plates(case: dict[str, Any]) -> None:
    found = checks.plate("p", case["written"], case["country"], checks.CAR)
    assert [warning["code"] for warning in found] == case["codes"]


def test_a_plate_is_the_same_however_it_is_written() -> None:
    assert {checks.key(written) for written in ("ABC123", "abc 123", "АВС-123", "A.B.C 1 2 3")} == {"ABC123"}


def test_a_vehicle_is_checked_whole() -> None:
    for case in CASES["vehicles"]:
        found = checks.vehicle(Vehicle.model_validate(case["vehicle"]))
        assert [[warning["field"], warning["code"]] for warning in found] == case["warnings"]
