"""A signed-in HTTP client for commands that work through the server, as any other client does."""

import asyncio
import getpass
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from core.errors import CodeNeeded, OutriderError
from core.settings import Settings
from dispatch_api.demo.files import accounts_file


class Refused(OutriderError):
    """The server refused."""


class _CodeWanted(Refused):
    """The server asks for the code of a second factor."""


def server_url(settings: Settings, given: str | None = None) -> str:
    """The address named, else the one of the settings."""
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104
    return (given or f"{'https' if settings.tls else 'http'}://{host}:{settings.port}").rstrip("/")


def credentials(settings: Settings, role: str, login: str | None, password: str | None) -> tuple[str, str]:
    """The login and password given, else the demonstration's account of `role`, else what is typed."""
    if login is None and accounts_file(settings).exists():
        accounts = json.loads(accounts_file(settings).read_text())
        found = next(account for account in accounts if account["role"] == role)
        return found["login"], found["password"]
    if login is None:
        raise Refused(f"Name a login: --login (a person with the role {role}).")
    if password is None and not sys.stdin.isatty():
        raise Refused("Name the password: --password.")
    return login, password or getpass.getpass(f"Password of {login}: ")


class Session:
    """One person's session: JSON in, JSON out; raises Refused with the server's own words."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self.token = ""

    async def call(
        self, method: str, path: str, body: Any = None, *, data: Callable[[], Any] | None = None, **options: Any
    ) -> Any:
        """The answer's JSON; waits and tries again when the server says it is overloaded.

        `data` makes, for each try, a content to be streamed instead of the JSON `body`.
        """
        while True:
            sent = {"data": data()} if data else {"json": body}
            async with self._http.request(method, f"/api/v1{path}", **sent, **options) as answer:
                content: Any = await answer.json(content_type=None) if answer.status != 204 else None
                if answer.status == 503:
                    await asyncio.sleep(float(answer.headers.get("Retry-After", "1")))
                    continue
                if answer.status >= 400:
                    kind = _CodeWanted if content.get("code") == CodeNeeded.code else Refused
                    raise kind(f"{method} {path}: {answer.status} {content.get('detail', '')}")
                return content

    async def pages(self, path: str) -> AsyncIterator[dict[str, Any]]:
        """Every item of a list."""
        after, joint = "", "&" if "?" in path else "?"
        while True:
            page = await self.call("GET", f"{path}{joint}limit=500{after}")
            for item in page["items"]:
                yield item
            if not page["next"]:
                return
            after = f"&after={page['next']}"


@asynccontextmanager
async def signed_in(url: str, login: str, password: str, code: str | None = None) -> AsyncIterator[Session]:
    """A session of this person at the server, ended at the end; asks for the code of a second factor if need be."""
    timeout = aiohttp.ClientTimeout(total=600, connect=10)
    async with aiohttp.ClientSession(url, timeout=timeout) as http:
        session = Session(http)
        claim = {"login": login, "password": password} | ({"code": code} if code else {})
        try:
            opened = await session.call("POST", "/session", claim)
        except _CodeWanted as wanted:
            if not sys.stdin.isatty():
                raise Refused(f"{wanted} Name it: --code.") from wanted
            opened = await session.call("POST", "/session", claim | {"code": getpass.getpass(f"Code of {login}: ")})
        session.token = opened["token"]
        http.headers["Authorization"] = f"Bearer {session.token}"
        yield session
        await session.call("DELETE", "/session")
