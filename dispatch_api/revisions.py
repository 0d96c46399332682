"""The schema's revisions, read from the migrations' files: the migration tool itself takes half a second to import."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""Where `alembic.ini` and the folder of migrations lie."""


def known_revisions(versions: Path | None = None) -> set[str]:
    """All revisions this version of Outrider has migrations for."""
    return set(re.findall(r'^revision = "(\w+)"', _text(versions), re.MULTILINE))


def newest_revision(versions: Path | None = None) -> str | None:
    """The revision no other one follows; None when that is not exactly one."""
    followed = set(re.findall(r'^down_revision = "(\w+)"', _text(versions), re.MULTILINE))
    newest = known_revisions(versions) - followed
    return newest.pop() if len(newest) == 1 else None


def _text(versions: Path | None) -> str:
    return "\n".join(file.read_text() for file in sorted((versions or ROOT / "alembic" / "versions").glob("*.py")))
