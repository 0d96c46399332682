"""The lifecycle against an independent copy of domain.md 2.4, typed off by hand: a wrong table must fail here."""

from tasks import states
from tasks.states import Who

DOMAIN = """
(new) > draft | dispatcher author system
draft > issued | dispatcher
draft > discarded | author dispatcher
issued > delivered | system
issued > acknowledged | officer
delivered > acknowledged | officer
issued > declined | officer
delivered > declined | officer
acknowledged > declined | officer
issued > unacknowledged | system
delivered > unacknowledged | system
unacknowledged > acknowledged | officer
unacknowledged > issued | dispatcher
declined > issued | dispatcher
paused > issued | dispatcher
acknowledged > en_route | officer
acknowledged > on_scene | officer
en_route > on_scene | officer
acknowledged > paused | officer dispatcher
en_route > paused | officer dispatcher
on_scene > paused | officer dispatcher
paused > acknowledged | officer dispatcher
(new) > on_scene | officer
on_scene > completed | officer
acknowledged > failed | officer
en_route > failed | officer
on_scene > failed | officer
completed > closed | dispatcher system
failed > closed | dispatcher system
completed > on_scene | dispatcher
issued > cancelled | dispatcher
delivered > cancelled | dispatcher
unacknowledged > cancelled | dispatcher
acknowledged > cancelled | dispatcher
declined > cancelled | dispatcher
en_route > cancelled | dispatcher
on_scene > cancelled | dispatcher
paused > cancelled | dispatcher
issued > expired | system
delivered > expired | system
unacknowledged > expired | system
"""


def _domain() -> dict[tuple[str, str], set[str]]:
    rows = (line.split(" | ") for line in DOMAIN.strip().splitlines())
    return {tuple(arrow.split(" > ")): set(who.split()) for arrow, who in rows}  # type: ignore[misc]


def test_the_table_holds_exactly_the_arrows_of_the_domain() -> None:
    ours: dict[tuple[str, str], set[str]] = {}
    for (source, _verb), arrow in states.TABLE.items():
        ours.setdefault((source, arrow.to), set()).update(arrow.who)
    assert ours == _domain()


def test_one_verb_names_each_arrow() -> None:
    assert len(states.TABLE) == len(_domain())


def test_no_arrow_leaves_a_terminal_status() -> None:
    assert not [source for source, _ in states.TABLE if source in states.TERMINAL]
    assert {"closed", "cancelled", "expired", "discarded"} == states.TERMINAL


def test_verbs_are_those_of_the_interface() -> None:
    assert {"issue", "reassign", "pause", "resume", "cancel", "close", "return", "discard"} == states.CENTRE_VERBS
    officer = {"acknowledge", "decline", "en_route", "on_scene", "pause", "resume", "complete", "fail"}
    assert officer == states.OFFICER_VERBS


def test_who_may_not_take_an_arrow_has_none() -> None:
    assert states.step("issued", "acknowledge", Who.OFFICER) is not None
    assert states.step("issued", "acknowledge", Who.DISPATCHER) is None
    assert states.step("issued", "cancel", Who.OFFICER) is None
    assert states.step("draft", "issue", Who.AUTHOR) is None


def test_too_late_is_a_conflict_only_against_a_cancel() -> None:
    assert {status: states.too_late(status) for status in states.STATUSES} == {
        status: "conflict" if status == "cancelled" else "superseded" for status in states.STATUSES
    }


def test_the_text_of_the_table_lists_every_arrow() -> None:
    text = states.as_markdown()
    for (source, verb), arrow in states.TABLE.items():
        assert any(
            source in row and f"| {verb} | {arrow.to} |" in row and all(who in row for who in arrow.who)
            for row in text.splitlines()
        )
