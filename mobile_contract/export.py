"""The contract as documents: JSON Schema, AsyncAPI 3 for the socket, and the officers' part of the OpenAPI."""

import copy
import re
from collections.abc import Iterator
from typing import Any

from pydantic.json_schema import models_json_schema

from mobile_contract.catalogue import ANSWERS, PUSHES, REQUESTS, ROUTES, TO_CLIENT, TO_SERVER, VERSION

API = "/api/v1"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REF = re.compile(r"#/(?:\$defs|components/schemas)/(.+)")

Document = dict[str, Any]


def schema() -> Document:
    """Every model in JSON Schema: `requests`, `answers`, `to_server`, `to_client`, `pushes` by name, over `$defs`."""
    groups = {
        "requests": (REQUESTS, "validation"), "answers": (ANSWERS, "serialization"),
        "to_server": (TO_SERVER, "validation"), "to_client": (TO_CLIENT, "serialization"),
        "pushes": (PUSHES, "serialization"),
    }  # fmt: skip
    asked: list[Any] = [(model, mode) for models, mode in groups.values() for model in models.values()]
    refs, defined = models_json_schema(asked, ref_template="#/$defs/{model}")
    made: Document = {"$schema": DIALECT, "$id": f"urn:outrider:contract:{VERSION}", "version": VERSION}
    for group, (models, mode) in groups.items():
        made[group] = {name: refs[model, mode] for name, model in sorted(models.items())}  # type: ignore[index]
    return made | {"$defs": defined["$defs"]}


def asyncapi() -> Document:
    """The officers' socket as AsyncAPI 3: `receive` is what the server takes, `send` what it sends."""
    found = schema()
    made: Document = {
        "asyncapi": "3.0.0",
        "info": {"title": "Outrider, officers' inbox", "version": VERSION},
        "defaultContentType": "application/json",
        "channels": {"inbox": {"address": f"{API}/inbox/live", "messages": {}}},
        "operations": {},
        "components": {"messages": {}, "schemas": _moved(found["$defs"])},
    }
    for group, action, models in (("to_server", "receive", TO_SERVER), ("to_client", "send", TO_CLIENT)):
        for name in models:
            payload = _moved(found[group][name])
            made["components"]["messages"][name] = {"name": name, "payload": payload}
            made["channels"]["inbox"]["messages"][name] = {"$ref": f"#/components/messages/{name}"}
        made["operations"][group] = {
            "action": action,
            "channel": {"$ref": "#/channels/inbox"},
            "messages": [{"$ref": f"#/channels/inbox/messages/{name}"} for name in models],
        }
    return _pruned(made, made["channels"], made["components"]["messages"])


def openapi(whole: Document) -> Document:
    """The officers' part of the server's OpenAPI document; raises KeyError for an operation the server lacks."""
    paths: Document = {}
    for route in ROUTES:
        method, path = route.split()
        paths.setdefault(f"{API}{path}", {})[method.lower()] = whole["paths"][f"{API}{path}"][method.lower()]
    info = {"title": "Outrider for officers' apps", "version": VERSION}
    made = {"openapi": whole["openapi"], "info": info, "paths": paths, "components": copy.deepcopy(whole["components"])}
    return _pruned(made, paths)


def _moved(value: Any) -> Any:
    """The same with its references into `components`."""
    if isinstance(value, dict):
        return {key: _moved(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_moved(inner) for inner in value]
    return value.replace("#/$defs/", "#/components/schemas/") if isinstance(value, str) else value


def _pruned(made: Document, *roots: Any) -> Document:
    """The document with only those schemas that something in `roots` needs."""
    schemas, needed, waiting = made["components"]["schemas"], set(), list(names_in(roots))
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += names_in(schemas[name])
    made["components"]["schemas"] = {name: schemas[name] for name in sorted(needed)}
    return made


def names_in(value: Any) -> Iterator[str]:
    """The names of all schemas that are referred to."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str) and (found := _REF.fullmatch(value["$ref"])):
            yield found[1]
        for inner in value.values():
            yield from names_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from names_in(inner)
