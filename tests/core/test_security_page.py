"""docs/security.md says of each security statement which tests show it; they exist."""

import re

from tests.helpers import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()
STATEMENTS = dict(re.findall(r"^\| (S\d+) \| (?:.*?) \| (.*) \|$", PAGE, re.MULTILINE))


def test_no_statement_is_missing() -> None:
    assert list(STATEMENTS) == [f"S{n}" for n in range(1, 31)]
    for name, shown in STATEMENTS.items():
        assert "`" in shown or "Does not apply" in shown or "yet" in shown, name


def test_every_named_test_exists() -> None:
    named = re.findall(
        r"`((?:browser|casework|contract|core|dispatch_api|geo|tasks|web_map)/[\w/]+\.py)(?:::(\w+))?`", PAGE
    )
    assert len(named) > 40
    for file, test in set(named) - {("core/test_security_page.py", "")}:
        source = ROOT / "tests" / file
        assert source.exists(), file
        assert not test or re.search(rf"^(async )?def {test}\(", source.read_text(), re.MULTILINE), f"{file}::{test}"
