"""Requests to the server, and what its refusals mean for an app."""

from typing import Any

import aiohttp

API = "/api/v1"
REQUEST_S = 30


class Later(Exception):
    """It did not get through, or the server wants to be asked later: nothing is lost, try again."""

    def __init__(self, after_s: float = 0.0) -> None:
        super().__init__(f"try again after {after_s} s")
        self.after_s = after_s


class Refused(Exception):
    """The server will never take this; `problem` says why."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(f"{problem.get('code')}: {problem.get('detail')}")
        self.problem, self.code = problem, str(problem.get("code"))


class SignedOut(Exception):
    """The session has ended: sign in again."""


class Revoked(Exception):
    """The installation was shut out: what it stored is wiped. `may_recover`: it may hand over its outbox once."""

    def __init__(self, *, may_recover: bool) -> None:
        super().__init__("this installation was shut out")
        self.may_recover = may_recover


class Wire:
    """HTTP with a bearer token."""

    def __init__(self, server: str, http: aiohttp.ClientSession) -> None:
        self.server, self.token = server.rstrip("/"), ""
        self._http = http

    @property
    def socket_url(self) -> str:
        """Where the inbox is live."""
        return self.server.replace("http", "ws", 1) + f"{API}/inbox/live"

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The answer's JSON; raises Later, SignedOut, Revoked or Refused."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= options.pop("headers", {})
        sent = {"json": body} if body is not None else {}
        timeout = aiohttp.ClientTimeout(total=REQUEST_S)
        url, options = f"{self.server}{API}{path}", options | sent | {"headers": headers, "timeout": timeout}
        try:
            try:
                return await self._asked(method, url, options)
            except (aiohttp.ServerDisconnectedError, ConnectionResetError):
                # A kept connection had ended meanwhile, which says nothing of the network; every call may be repeated.
                return await self._asked(method, url, options)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Later from error

    async def _asked(self, method: str, url: str, options: dict[str, Any]) -> Any:
        async with self._http.request(method, url, **options) as answer:
            content = None if answer.status == 204 else await answer.json(content_type=None)
            return self._judged(answer.status, content, answer.headers.get("Retry-After", ""))

    @staticmethod
    def _judged(status: int, content: Any, retry_after: str) -> Any:
        if status < 400:
            return content
        problem = content if isinstance(content, dict) else {}
        if status == 401 and problem.get("code") == "install_revoked":
            raise Revoked(may_recover=bool(problem.get("recovery")))
        if status == 401 and problem.get("code") == "not_signed_in":
            raise SignedOut
        if status == 429 or status >= 500:
            raise Later(float(retry_after) if retry_after.isdigit() else 0.0)
        raise Refused(problem)
