"""The score of a device: nothing for what is normal, more for what is worse, and never anything from too little."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.counts import SKEW_BOUNDS_S
from geo.trust import CODES, ENOUGH, RULES, Measures, Rule, median, score, summed

CLASSES = len(SKEW_BOUNDS_S) + 1
GOOD = {"accepted": 1_000, "heard_s": 10_000.0, "battery_pct": 90.0, "unheard_s": 5.0}


def skews(seconds: float, n: int = 100) -> list[int]:
    """All looks at the clock in the class of this skew."""
    place = sum(bound <= seconds for bound in SKEW_BOUNDS_S)
    return [n if i == place else 0 for i in range(CLASSES)]


def test_a_device_that_does_what_it_should_is_trusted_wholly() -> None:
    assert score(Measures(**GOOD, skews=skews(0))) == (100, [])


BAD = {
    "unheard": {"unheard_s": 7_200.0},
    "clock": {"skews": skews(-1_000)},
    "jumps": {"jumps": 100},
    "gaps": {"silent_s": 5_000.0},
    "frozen": {"frozen": 100},
    "two_senders": {"doubts": ("two_senders",)},
    "apart": {"doubts": ("apart",)},
    "off_clock": {"off_clock": 50},
    "no_fix": {"no_fix": 500},
    "rejected": {"rejected": 112},
    "late": {"late": 600},
    "duplicates": {"duplicates": 1_000},
    "battery": {"battery_pct": 5.0},
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_each_trouble_costs_its_weight_and_is_named(rule: Rule) -> None:
    found = score(Measures(**GOOD | BAD[rule.code]))
    assert [(reason.code, reason.points) for reason in found.reasons] == [(rule.code, rule.weight)]
    assert found.score == 100 - rule.weight


def test_half_way_costs_half() -> None:
    (reason,) = score(Measures(**GOOD | {"jumps": 52})).reasons
    assert (reason.code, round(reason.value, 3), reason.points) == ("jumps", 0.052, 20)


def test_with_a_wrong_clock_lateness_is_not_held_against_it() -> None:
    assert [reason.code for reason in score(Measures(**GOOD | BAD["late"], skews=skews(1_000))).reasons] == ["clock"]


@pytest.mark.parametrize(
    ("known", "code"), [({}, "never"), ({"off_duty": 9}, "off_duty"), ({"accepted": ENOUGH - 1, "jumps": 19}, "few")]
)
def test_too_little_gives_no_score_and_says_why(known: dict[str, int], code: str) -> None:
    found = score(Measures(**known))
    assert (found.score, [reason.code for reason in found.reasons]) == (None, [code])


def test_disturbed_receivers_are_named_and_not_blamed() -> None:
    found = score(Measures(**GOOD, doubts=("interference",)))
    assert (found.score, [reason.code for reason in found.reasons]) == (100, ["interference"])


def test_a_silent_device_is_named_however_little_is_known() -> None:
    assert [reason.code for reason in score(Measures(unheard_s=9_000.0)).reasons] == ["unheard", "never"]


counts = st.integers(0, 10_000)


sums = dict.fromkeys(("accepted", "duplicates", "rejected", "late", "jumps", "no_fix", "off_clock"), counts)
spans = {name: st.floats(0, 1e6) for name in ("silent_s", "heard_s")}


@given(st.builds(Measures, **sums, **spans, skews=st.lists(st.integers(0, 100), max_size=CLASSES)))
def test_whatever_was_counted_the_score_is_between_0_and_100_and_adds_up(measures: Measures) -> None:
    found = score(measures)
    assert {reason.code for reason in found.reasons} <= set(CODES)
    if found.score is not None:
        assert found.score == max(0, 100 - sum(reason.points for reason in found.reasons))
        assert [r.points for r in found.reasons] == sorted((r.points for r in found.reasons), reverse=True)


@pytest.mark.parametrize(
    ("counted", "middle"),
    [([], None), ([0, 0], None), ([4], 0), ([0, 4], 5), ([0, 0, 4], 15), ([0, 0, 0, 4], 20), ([0, 1, 3], 10 + 10 / 3)],
)
def test_the_middle_of_classes(counted: list[int], middle: float | None) -> None:
    assert median(counted, (0, 10, 20)) == (pytest.approx(middle) if middle is not None else None)


def test_classes_add_up_however_long() -> None:
    assert summed([[1], [], [0, 2, 3]]) == [1, 2, 3]
