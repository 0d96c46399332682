"""Whether apps made for one version of the contract survive another: which of its schemas cover which."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]
LOWER, UPPER = ("minLength", "minimum", "exclusiveMinimum", "minItems"), ("maxLength", "maximum", "exclusiveMaximum",
                                                                          "maxItems")  # fmt: skip


@dataclass(frozen=True)
class _Side:
    """A schema within its document."""

    schema: Schema
    document: Schema

    def of(self, schema: Any) -> "_Side":
        """Another schema of the same document."""
        return _Side(schema if isinstance(schema, dict) else {}, self.document)

    def alternatives(self) -> Iterator["_Side"]:
        """What a value may be, references followed."""
        found = self.schema
        if "$ref" in found:
            yield from self.of(self.document["$defs"][found["$ref"].rpartition("/")[2]]).alternatives()
        elif options := found.get("anyOf") or found.get("oneOf"):
            for option in options:
                yield from self.of(option).alternatives()
        else:
            yield self


def breaks(old: Schema, new: Schema) -> list[str]:
    """What an app made for the document `old` would not survive of a server with `new`; empty when nothing."""
    found = []
    for group, comes_in in (
        ("requests", True), ("to_server", True), ("answers", False), ("to_client", False), ("pushes", False),
    ):  # fmt: skip
        for name, schema in old[group].items():
            if name not in new[group]:
                found.append(f"{group}.{name}: gone")
                continue
            was, now = _Side(schema, old), _Side(new[group][name], new)
            # Of what comes in, all that old apps send must be taken; of what goes out, they must understand all.
            found += (
                _uncovered(now, was, f"{group}.{name}") if comes_in else _uncovered(was, now, f"{group}.{name}", True)
            )
    return found


def _uncovered(wide: _Side, narrow: _Side, at: str, is_open: bool = False) -> list[str]:
    """What `narrow` allows and `wide` does not; `is_open`: further fields of objects are ignored."""
    found: list[str] = []
    options = list(wide.alternatives())
    for each in narrow.alternatives():
        tried = [list(_outside(option, each, at, is_open)) for option in options]
        if all(tried):
            same = [faults for option, faults in zip(options, tried, strict=True) if _kind(option) == _kind(each)]
            found += sorted(same, key=len)[0] if same else [f"{at}: may be {_kind(each)}"]
    return found


def _kind(side: _Side) -> str:
    found = side.schema.get("type")
    return str(found if found else "const" if "const" in side.schema else "anything")


def _values(schema: Schema) -> set[str] | None:
    listed = [schema["const"]] if "const" in schema else schema.get("enum")
    return None if listed is None else set(map(repr, listed))


def _outside(wide: _Side, narrow: _Side, at: str, is_open: bool) -> Iterator[str]:
    w, n = wide.schema, narrow.schema
    allowed, possible = _values(w), _values(n)
    if allowed is not None:
        if possible is None or possible - allowed:
            yield f"{at}: may be {', '.join(sorted(possible - allowed)) if possible else 'anything'}"
        return
    if w.get("type") not in {None, n.get("type")} and (w["type"], n.get("type")) != ("number", "integer"):
        yield f"{at}: is {n.get('type', 'anything')}, not {w['type']}"
        return
    for name in (*LOWER, *UPPER):
        if name in w and (name not in n or (n[name] < w[name] if name in LOWER else n[name] > w[name])):
            yield f"{at}: {name} {n.get(name, 'none')}, not {w[name]}"
    for name in ("pattern", "format"):
        if name in w and n.get(name) != w[name]:
            yield f"{at}: {name} {n.get(name, 'none')}, not {w[name]}"
    yield from _parts(wide, narrow, at, is_open)


def _parts(wide: _Side, narrow: _Side, at: str, is_open: bool) -> Iterator[str]:
    w, n = wide.schema, narrow.schema
    if "items" in w:
        yield from _uncovered(wide.of(w["items"]), narrow.of(n.get("items", {})), f"{at}[]", is_open)
    for place, inner in enumerate(w.get("prefixItems", ())):
        mine = n.get("prefixItems", [])
        yield from _uncovered(
            wide.of(inner), narrow.of(mine[place] if place < len(mine) else {}), f"{at}[{place}]", is_open
        )
    known = w.get("properties", {})
    for name, inner in n.get("properties", {}).items():
        if name in known:
            yield from _uncovered(wide.of(known[name]), narrow.of(inner), f"{at}.{name}", is_open)
        elif w.get("additionalProperties") is False and not is_open:
            yield f"{at}.{name}: not taken"
    for name in sorted(set(w.get("required", ())) - set(n.get("required", ()))):
        yield f"{at}.{name}: required"
