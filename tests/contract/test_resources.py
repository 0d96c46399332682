"""The officers' contract: golden examples hold, hostile values are refused, and the service answers what is shown."""

import json
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import pytest
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine

import mobile_contract
from core import codes, inbox
from core.actor import Role
from core.work import open_work
from mobile_contract import resources
from tasks import notices, states, tasks
from tasks.transitions import transition
from tests.helpers import actor_of, crew, person

EXAMPLES = sorted((Path(mobile_contract.__file__).parent / "examples").glob("*.json"))
TASK = json.loads(next(file for file in EXAMPLES if file.stem == "TaskIn").read_text())


def test_the_contract_names_the_statuses_verbs_and_codes_of_the_service() -> None:
    assert set(get_args(resources.Status)) == set(states.STATUSES)
    assert set(get_args(resources.Verb)) == states.CENTRE_VERBS | states.OFFICER_VERBS
    assert get_args(resources.Priority) == codes.TASK_PRIORITY


@pytest.mark.parametrize(
    "change",
    [
        {"title": "a\x00b"}, {"title": "\ud800"}, {"title": "x" * 201}, {"title": ""}, {"instruction": "x" * 10_001},
        {"lon": float("nan")}, {"lat": float("inf")}, {"lat": 90.1}, {"lat": None}, {"priority": "P5"},
        {"window_to": "2026-11-23T09:30:00"}, {"window_to": "9999-12-31T23:59:59Z"}, {"window_to": 1_700_000_000},
        {"window_from": "2026-11-23T10:00:00Z"}, {"surprise": 1}, {"id": "1"}, {"kind": "a b"},
        {"point": {"type": "Point", "coordinates": [1, 2]}},
        {"area": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]}},
        {"area": {"type": "Polygon", "coordinates": [[[0, 0]] * 1_001]}},
    ],
    ids=str,
)  # fmt: skip
def test_hostile_and_wrong_values_are_refused(change: dict[str, Any]) -> None:
    resources.TaskIn.model_validate(TASK)
    with pytest.raises(ValidationError):
        resources.TaskIn.model_validate(TASK | change)


def test_a_polygon_of_a_thousand_vertices_is_taken() -> None:
    ring = [[0.0, 0.0], *([1.0, n / 1000] for n in range(998)), [0.0, 0.0]]
    area = resources.GeoPolygon.model_validate({"type": "Polygon", "coordinates": [ring]})
    assert len(area.coordinates[0]) == 1_000


@pytest.mark.parametrize("upto", [-1, 2**63, 1.5, "x"])
def test_an_acknowledgement_is_a_number_that_fits(upto: Any) -> None:
    with pytest.raises(ValidationError):
        resources.InboxAckIn.model_validate({"upto": upto})


def _shape(value: Any) -> Any:
    """Keys and kinds without the values; nulls say nothing of the kind."""
    if isinstance(value, dict):
        return {key: _shape(inner) for key, inner in value.items() if inner is not None}
    return [_shape(value[0])] if isinstance(value, list) and value else type(value).__name__


async def test_the_service_answers_in_the_shape_of_the_examples(engine: AsyncEngine) -> None:
    dispatcher, one = actor_of(await person(engine, Role.DISPATCHER)), await crew(engine, capabilities=["dog"])
    body = TASK | {"unit_id": str(one.unit.id), "window_to": "2199-01-01T00:00:00Z"}
    async with open_work(engine, dispatcher) as work:
        made = await tasks.create(work, resources.TaskIn.model_validate(body))
        note = {"kind": "be_on_lookout", "priority": "P2", "headline": "x", "to": {"units": [str(one.unit.id)]}}
        await notices.send(work, resources.NoticeIn.model_validate(note | {"instruction": "y"}))
    async with open_work(engine, one.actor) as work:
        page = resources.InboxPage.model_validate(await inbox.fetch(work, 0, 10)).model_dump(mode="json")
        await inbox.ack(work, None, 2)
        await tasks.seen(work, UUID(made["id"]), resources.ReceiptIn())
        answer = await transition(work, UUID(made["id"]), resources.TransitionIn(verb="acknowledge"))
    golden = {file.stem: json.loads(file.read_text()) for file in EXAMPLES}
    assert answer["task"].keys() == golden["Task"].keys()
    ours, shown = _shape(answer), _shape(golden["Transition"])
    for unset in ("support_unit_ids", "supports"):
        shown["task"][unset] = ours["task"][unset]
    assert ours == shown
    assert page.keys() == golden["InboxPage"].keys()
    assert [item["kind"] for item in page["items"]] == ["task", "notice"]
    assert page["items"][1]["body"].keys() == golden["NoticeItem"].keys()
