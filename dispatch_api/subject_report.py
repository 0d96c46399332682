"""The subject access report: everything held about one person, as one JSON or HTML file. A disclosure, and audited."""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime
from html import escape
from typing import IO, Any, Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import select

import casework.subject
import core.subject
import geo.subject
import tasks.subject
from core.actor import Actor
from core.audit import Action
from core.errors import NotFound
from core.models import UserAccount
from core.subject import Section
from core.work import Work, open_work
from mobile_contract.fields import utc_text

Form = Literal["json", "html"]
SECTIONS = (*core.subject.SECTIONS, *geo.subject.SECTIONS, *tasks.subject.SECTIONS, *casework.subject.SECTIONS)
PIECE = 1_000
"""Rows fetched at a time."""

Rows = AsyncIterator[Mapping[str, Any]]
_STYLE = """body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5em; color: #1b2733; background: #fff; }
h1 { font-size: 1.35em; } h2 { font-size: 1.1em; margin: 1.6em 0 .4em; } p { margin: .2em 0; }
table { border-collapse: collapse; font-size: .85em; } th { background: #eef2f5; }
th, td { padding: .25em .6em; text-align: left; vertical-align: top; border: 1px solid #d5dde4; }
td { max-width: 30em; overflow-wrap: anywhere; }"""


async def write(
    engine: AsyncEngine,
    actor: Actor,
    person: UUID | str,
    reason: str,
    form: Form,
    file: IO[str],
    told: Callable[[int, Section], None] = lambda _n, _section: None,
) -> UserAccount:
    """Write the report on a person (id or login) to `file`; who it is about. Raises NotFound.

    `told` hears of each section as it begins.
    """
    writer = _Html(file) if form == "html" else _Json(file)
    async with open_work(engine, actor) as work:
        column = UserAccount.id if isinstance(person, UUID) else UserAccount.login
        user: UserAccount | None = await work.first(select(UserAccount).where(column == person))
        if user is None:
            raise NotFound
        writer.head({"about": user.login, "made_at": work.now, "made_by": actor.login, "reason": reason})
        counts = {}
        async with work.elevated():  # held about the person, whatever the reader may otherwise see
            for n, section in enumerate(SECTIONS):
                told(n, section)
                counts[section.name] = await writer.section(section, _rows(work, section, user.id))
        writer.end()
        work.audit(Action.DISCLOSURE, "user", user.id, report="subject", reason=reason, format=form, rows=counts)
    return user


async def _rows(work: Work, section: Section, user_id: UUID) -> Rows:
    found = await work.session.stream(text(section.query), {"user_id": user_id}, execution_options={"yield_per": PIECE})
    async for row in found.mappings():
        yield dict(row)


def _plain(value: Any) -> Any:
    """A value as JSON would have it, moments in UTC."""
    return utc_text(value) if isinstance(value, datetime) else str(value)


class _Json:
    """One object: what the report is, and `sections` with a list of rows each."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._between = ""

    def head(self, told: dict[str, Any]) -> None:
        self._file.write(json.dumps(told, default=_plain, ensure_ascii=False)[:-1] + ', "sections": {')

    async def section(self, section: Section, rows: Rows) -> int:
        n = 0
        self._file.write(f'{self._between}\n"{section.name}": [')
        async for row in rows:
            self._file.write(",\n" if n else "\n")
            self._file.write(json.dumps(row, default=_plain, ensure_ascii=False))
            n += 1
        self._file.write("]")
        self._between = ","
        return n

    def end(self) -> None:
        self._file.write("}}\n")


class _Html:
    """A page of tables that stands alone; bulk sections as numbers by day."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def head(self, told: dict[str, Any]) -> None:
        title = escape(f"Data held about {told['about']}")
        self._file.write(
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
            f"<h1>{title}</h1><p>Made {_plain(told['made_at'])} by {escape(told['made_by'])}."
            f" Reason: {escape(told['reason'])}</p>\n"
        )

    async def section(self, section: Section, rows: Rows) -> int:
        self._file.write(f"<h2>{escape(section.title)}</h2>\n")
        n = await (self._days(rows) if section.is_bulk else self._table(rows))
        self._file.write(f"<p>{n} rows</p>\n" if n else "<p>Nothing.</p>\n")
        return n

    async def _table(self, rows: Rows) -> int:
        n = 0
        async for row in rows:
            if not n:
                self._row("th", row)
            self._row("td", row.values())
            n += 1
        if n:
            self._file.write("</table>\n")
        return n

    async def _days(self, rows: Rows) -> int:
        days: dict[str, int] = {}
        async for row in rows:
            day = _plain(row["fix_at"])[:10]
            days[day] = days.get(day, 0) + 1
        if days:
            self._row("th", ("day (UTC)", "n"))
            for found in sorted(days.items()):
                self._row("td", found)
            self._file.write("</table><p>Each of them is in the JSON form of this report.</p>\n")
        return sum(days.values())

    def _row(self, cell: str, values: Iterable[Any]) -> None:
        if cell == "th":
            self._file.write("<table>")
        text_ = "".join(f"<{cell}>{escape(_text(value))}</{cell}>" for value in values)
        self._file.write(f"<tr>{text_}</tr>\n")

    def end(self) -> None:
        self._file.write("</html>\n")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict | list):
        return json.dumps(value, default=_plain, ensure_ascii=False)
    return str(_plain(value))
