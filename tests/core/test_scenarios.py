"""The table of scenarios names every statement, and tests that are there."""

import ast
import re
from functools import cache

import pytest

from tests.helpers import ROOT

TABLE = (ROOT / "docs" / "scenarios.md").read_text()
ROWS = re.findall(r"^\| ([DTO]\d+) \|.*\| (.*) \|$", TABLE, re.MULTILINE)
WANTED = [f"D{n}" for n in (1, 2, 3, 4, 5, 7, 8, 9)] + [f"O{n}" for n in range(1, 11)]
WANTED += [f"T{n}" for n in (1, 2, 3, 5, 6, 7, 8, 9, 10)]


@cache
def functions_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_statement_is_there_once() -> None:
    assert [statement for statement, _ in ROWS] == WANTED


@pytest.mark.parametrize(("statement", "named"), ROWS)
def test_its_tests_exist(statement: str, named: str) -> None:
    tests = re.findall(r"`([\w/]+\.py)::(test_\w+)`", named)
    assert tests
    for file, name in tests:
        assert name in functions_of(file), (statement, file, name)
