"""What the client keeps on the disk: who it is, its inbox, its outbox. One SQLite file, durable at each step.

A real app encrypts this (see mobile_contract/session.py); a reference that is read should not have to be decrypted.
"""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLES = """
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS inbox (seq INTEGER PRIMARY KEY, item TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS outbox (n INTEGER PRIMARY KEY AUTOINCREMENT, is_file INTEGER NOT NULL, method TEXT NOT NULL,
  path TEXT NOT NULL, body TEXT NOT NULL, file TEXT, state TEXT NOT NULL DEFAULT 'waiting', answer TEXT);
"""


@dataclass(frozen=True)
class Entry:
    """Something done: a request, or a file to be sent after its announcement (`body`)."""

    n: int
    method: str
    path: str
    body: dict[str, Any]
    file: Path | None
    state: str
    answer: Any


class Store:
    """The file and what is in it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(TABLES)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def get(self, name: str) -> Any:
        """A setting, or None."""
        row = self._db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return row and json.loads(row[0])

    def put(self, name: str, value: Any) -> None:
        """Keep a setting."""
        self._db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, json.dumps(value)))

    def wipe(self) -> None:
        """Forget everything: the installation was shut out."""
        for table in ("setting", "inbox", "outbox"):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608
        self._db.execute("VACUUM")

    def head(self) -> int:
        """The newest `seq` that is stored."""
        return int(self._db.execute("SELECT coalesce(max(seq), 0) FROM inbox").fetchone()[0])

    def keep(self, items: Iterable[dict[str, Any]]) -> None:
        """Store items of the inbox, those that are there already once."""
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT OR IGNORE INTO inbox VALUES (?, ?)", [(item["seq"], json.dumps(item)) for item in items]
        )
        self._db.execute("COMMIT")

    def forget_inbox(self) -> None:
        """The server knows another sequence: begin anew."""
        self._db.execute("DELETE FROM inbox")

    def inbox(self) -> list[dict[str, Any]]:
        """All items, in order."""
        return [json.loads(row[0]) for row in self._db.execute("SELECT item FROM inbox ORDER BY seq")]

    def add(self, method: str, path: str, body: dict[str, Any], file: Path | None = None) -> None:
        """Put something that was done into the outbox."""
        values = (file is not None, method, path, json.dumps(body), file and str(file))
        self._db.execute("INSERT INTO outbox (is_file, method, path, body, file) VALUES (?, ?, ?, ?, ?)", values)

    def outbox(self, state: str = "waiting") -> list[Entry]:
        """What waits (or is `done` or `refused`), in the order in which it is sent: records first, then files."""
        query = "SELECT n, method, path, body, file, state, answer FROM outbox WHERE state = ? ORDER BY is_file, n"
        rows = self._db.execute(query, (state,)).fetchall()
        return [
            Entry(n, method, path, json.loads(body), Path(file) if file else None, state, answer and json.loads(answer))
            for n, method, path, body, file, state, answer in rows
        ]

    def settle(self, entry: Entry, state: str, answer: Any) -> None:
        """Note what became of an entry."""
        self._db.execute("UPDATE outbox SET state = ?, answer = ? WHERE n = ?", (state, json.dumps(answer), entry.n))
