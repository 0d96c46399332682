"""Plates and numbers: what is known to be right passes, what is known to be wrong is told, and how they compare."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casework import checks
from mobile_contract.stop_forms import Vehicle


@pytest.mark.parametrize("number", ["CSQU3054383", "csqu 305438-3", "MSKU0383250", "TGHU7599330", "HLXU1234567"])
def test_containers(number: str) -> None:
    """The first is the example of ISO 6346; the last has the wrong digit."""
    found = [warning["code"] for warning in checks.container("c", number)]
    assert found == (["check_digit"] if number == "HLXU1234567" else [])


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


@pytest.mark.parametrize(
    ("plate", "country", "codes"),
    [
        ("ABC123", "LT", []), ("abc 123", "LT", []), ("ABC-123", None, []), ("АВС123", "LT", ["look_alike"]),
        ("AQC123", "LT", ["plate_letters"]), ("AB1234", "LT", ["plate_pattern"]), ("AB1234", "LV", []),
        ("ЖЖЖ123", "LT", ["plate_pattern"]), ("А123ВС", "RU", ["look_alike"]), ("", None, ["plate_pattern"]),
    ],
)  # fmt: skip
def test_plates(plate: str, country: str | None, codes: list[str]) -> None:
    assert [warning["code"] for warning in checks.plate("p", plate, country, checks.CAR)] == codes


def test_a_plate_is_the_same_however_it_is_written() -> None:
    assert {checks.key(written) for written in ("ABC123", "abc 123", "АВС-123", "A.B.C 1 2 3")} == {"ABC123"}


def test_a_vehicle_is_checked_whole() -> None:
    of = Vehicle(plate="AB123", trailer_plate="AB123", vin="WVWZZZ1JZXW00000O", containers=["X", "CSQU3054380"])
    assert [(warning["field"], warning["code"]) for warning in checks.vehicle(of)] == [
        ("vehicle.plate", "plate_pattern"), ("vehicle.vin", "vin"), ("vehicle.containers.0", "container_pattern"),
        ("vehicle.containers.1", "check_digit"),
    ]  # fmt: skip
    assert checks.vehicle(Vehicle(vin="WVWZZZ1JZXW000001", plate="X 1", country="PL")) == []
