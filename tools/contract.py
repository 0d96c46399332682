"""Write the officers' contract as it stands: its documents below mobile_contract/published, the types of the pages.

`--check` writes nothing and fails when something would change. What was published under an older version stays.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from core.settings import Settings
from dispatch_api.app import create_app
from mobile_contract import export
from mobile_contract.catalogue import VERSION

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED = ROOT / "mobile_contract" / "published"
TYPES = ROOT / "web_map" / "client" / "src" / "shared" / "contract.ts"
HEAD = f"/** Version {VERSION} of the officers' contract. Written by tools/contract.py; never by hand. */\n"
PLAIN = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}


def documents() -> dict[Path, str]:
    """Every file with its text."""
    whole = create_app(
        Settings(database_url="postgresql+asyncpg://x@/x", ingest_database_url="postgresql+asyncpg://x@/x")
    ).api.openapi()
    made = {"schema": export.schema(), "asyncapi": export.asyncapi(), "openapi": export.openapi(whole)}
    files = {PUBLISHED / VERSION / f"{name}.json": _text(document) for name, document in made.items()}
    return files | {TYPES: types(made["schema"])}


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def types(schema: dict[str, Any]) -> str:
    """The models as TypeScript."""
    return HEAD + "".join(_declared(name, model) for name, model in sorted(schema["$defs"].items()))


def _name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", name)


def _declared(name: str, model: dict[str, Any]) -> str:
    told = model.get("description", "").split("\n\n")[0].replace("\n", " ")
    comment = f"\n/** {told} */\n" if told else "\n"
    if "properties" not in model:
        return f"{comment}export type {_name(name)} = {_type(model)};\n"
    required = set(model.get("required", ()))
    lines = [
        f"  {json.dumps(key) if not key.isidentifier() else key}{'' if key in required else '?'}: {_type(value)};\n"
        for key, value in model["properties"].items()
    ]
    return f"{comment}export interface {_name(name)} {{\n{''.join(lines)}}}\n"


def _type(model: dict[str, Any]) -> str:
    if "$ref" in model:
        return _name(model["$ref"].rpartition("/")[2])
    if "const" in model or "enum" in model:
        return " | ".join(json.dumps(value) for value in model.get("enum", [model.get("const")]))
    if options := model.get("anyOf") or model.get("oneOf"):
        return " | ".join(dict.fromkeys(_type(option) for option in options))
    kind = model.get("type")
    if kind == "array":
        return _array(model)
    if kind == "object":
        values = model.get("additionalProperties")
        return f"Record<string, {_type(values) if isinstance(values, dict) and values else 'unknown'}>"
    return PLAIN.get(str(kind), "unknown")


def _array(model: dict[str, Any]) -> str:
    if "prefixItems" in model:
        return f"[{', '.join(map(_type, model['prefixItems']))}]"
    inner = _type(model.get("items", {}))
    return f"({inner})[]" if "|" in inner else f"{inner}[]"


def main() -> int:
    """Write or check; 1 when a check finds a difference."""
    stale = [file for file, text in documents().items() if not file.exists() or file.read_text() != text]
    if "--check" in sys.argv:
        for file in stale:
            print(f"{file.relative_to(ROOT)} is not what the models say: run tools/contract.py")
        return int(bool(stale))
    for file, text in documents().items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    print(f"{len(stale)} files written.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
