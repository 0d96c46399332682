"""What is published is what the models say, every part has a golden example, and no change breaks an app in use."""

import copy
import csv
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import mobile_contract
from mobile_contract import export
from mobile_contract.catalogue import MODELS, REQUESTS, ROUTES, TO_SERVER, VERSION
from mobile_contract.compare import breaks
from tests.helpers import ROOT
from tools import contract

HOME = Path(mobile_contract.__file__).parent
PUBLISHED = sorted((HOME / "published").iterdir())
GROUPS = ("requests", "answers", "to_server", "to_client", "pushes")


@cache
def documents() -> dict[Path, str]:
    return contract.documents()


def _bare(value: Any) -> Any:
    """A document without its words: they may be bettered at any time."""
    if isinstance(value, dict):
        return {key: _bare(inner) for key, inner in value.items() if key not in {"description", "summary", "title"}}
    return [_bare(inner) for inner in value] if isinstance(value, list) else value


def test_what_is_published_is_what_the_models_say() -> None:
    """Else run tools/contract.py, after raising the version where the test below asks for it."""
    for file, text in documents().items():
        there = file.read_text()
        if file.suffix == ".json":
            assert _bare(json.loads(there)) == _bare(json.loads(text)), file.name
        else:
            assert there.count("\n") == text.count("\n"), file.name
            assert [
                a for a, b in zip(there.split("\n"), text.split("\n"), strict=True) if a != b and "/**" not in b
            ] == []


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_part_has_a_golden_example(name: str) -> None:
    text = (HOME / "examples" / f"{name}.json").read_text()
    document, example = export.schema(), json.loads(text)
    (ref,) = [document[group][name] for group in GROUPS if name in document[group]]
    jsonschema.validate(example, ref | {"$defs": document["$defs"]})
    parsed = MODELS[name].model_validate_json(text)
    if name not in REQUESTS | TO_SERVER:
        assert json.loads(parsed.model_dump_json(by_alias=True)) == example, "as it is sent"


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda folder: folder.name)
def test_apps_of_every_published_version_live_on(folder: Path) -> None:
    """Of the last two major versions; an older one may be dropped from the folder."""
    assert breaks(json.loads((folder / "schema.json").read_text()), export.schema()) == []
    was = json.loads((folder / "openapi.json").read_text())["paths"]
    whole = next(json.loads(text) for file, text in documents().items() if file.name == "openapi.json")["paths"]
    for path, methods in was.items():
        for method, operation in methods.items():
            now = whole[path][method]
            assert set(operation["responses"]) - {"422"} <= set(now["responses"]), path
            known = {(each["name"], each["in"]): each for each in now.get("parameters", [])}
            old = {(each["name"], each["in"]) for each in operation.get("parameters", [])}
            assert old <= known.keys(), path
            assert not {name for name, each in known.items() if each.get("required")} - old, path


def test_this_version_is_published() -> None:
    assert VERSION in {folder.name for folder in PUBLISHED}
    log = (HOME / "CHANGELOG.md").read_text()
    assert all(f"## {folder.name}" in log for folder in PUBLISHED)


def _model(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = document["$defs"][name]
    return found


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a new required field": (lambda d: _model(d, "PanicIn")["required"].append("at"), "requests.PanicIn.at: required"),
    "a field no longer taken": (
        lambda d: _model(d, "MessageIn")["properties"].pop("at"), "requests.MessageIn.at: not taken",
    ),
    "a text to be shorter": (
        lambda d: _model(d, "PinIn")["properties"]["pin"].update(pattern="^[0-9]{6}$"), "requests.PinIn.pin: pattern",
    ),
    "a number to be smaller": (
        lambda d: _model(d, "AttachmentIn")["properties"]["size"].update(maximum=1),
        "requests.AttachmentIn.size: maximum",
    ),
    "a value no longer taken": (
        lambda d: _model(d, "TransitionIn")["properties"]["verb"]["enum"].remove("fail"),
        "requests.TransitionIn.verb: may be 'fail'",
    ),
    "an answer without a field": (
        lambda d: (_model(d, "Task")["properties"].pop("late"), _model(d, "Task")["required"].remove("late")),
        "answers.Task.late: required",
    ),
    "an answer with null": (
        lambda d: _model(d, "Task")["properties"].update(title={"anyOf": [{"type": "string"}, {"type": "null"}]}),
        "answers.Task.title: may be null",
    ),
    "an answer of another type": (
        lambda d: _model(d, "Task")["properties"].update(number={"type": "string"}),
        "answers.Task.number: may be string",
    ),
    "a new value in an answer": (
        lambda d: _model(d, "Attachment")["properties"]["status"]["enum"].append("lost"),
        "answers.Attachment.status: may be 'lost'",
    ),
    "a message that is gone": (lambda d: d["to_client"].pop("Beat"), "to_client.Beat: gone"),
    "a field deep within": (
        lambda d: _model(d, "StoppedPerson-Input")["required"].append("name")
        if "StoppedPerson-Input" in d["$defs"] else _model(d, "StoppedPerson")["required"].append("name"),
        "requests.StopFormIn.persons[].name: required",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_breaks_apps_is_noticed(name: str) -> None:
    was = export.schema()
    now = copy.deepcopy(was)
    change, told = CHANGES[name]
    change(now)
    assert any(fault.startswith(told) for fault in breaks(was, now)), breaks(was, now)


def test_what_is_only_added_breaks_nothing() -> None:
    was = export.schema()
    now = copy.deepcopy(was)
    _model(now, "PanicIn")["properties"]["note"] = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    _model(now, "Task")["properties"]["colour"] = {"type": "string"}
    _model(now, "Task")["required"].append("colour")
    _model(now, "TransitionIn")["properties"]["verb"]["enum"].append("dance")
    _model(now, "AttachmentIn")["properties"]["size"]["maximum"] *= 2
    _model(now, "PinIn")["properties"]["pin"].pop("pattern")
    now["requests"]["NewIn"] = {"type": "object"}
    assert breaks(was, now) == []


def test_every_operation_is_an_officers() -> None:
    with (ROOT / "tests" / "dispatch_api" / "matrix.csv").open(newline="") as file:
        cells = {(row["method"], row["path"]): row["officer"] for row in csv.DictReader(file)}
    for route in ROUTES:
        method, path = route.split()
        if route != "POST /positions":  # by the key of a device
            assert cells[method, f"{export.API}{path}"] not in {"401", "403"}, route


def test_every_reference_in_the_documents_leads_somewhere() -> None:
    for made in (export.asyncapi(), json.loads((HOME / "published" / VERSION / "openapi.json").read_text())):
        assert set(export.names_in(made)) <= set(made["components"]["schemas"])
        assert '"#/$defs' not in json.dumps(made)
    socket = export.asyncapi()
    assert socket["asyncapi"].startswith("3.")
    for operation in socket["operations"].values():
        for message in operation["messages"]:
            name = message["$ref"].rpartition("/")[2]
            assert socket["channels"]["inbox"]["messages"][name]["$ref"] == f"#/components/messages/{name}"
            assert name in socket["components"]["messages"]
