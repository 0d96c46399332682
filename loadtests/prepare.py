"""Accounts and devices for `loadtests/locustfile.py` on any server, through its own API; and their end.

    OUTRIDER_LOAD_PASSWORD=… python -m loadtests.prepare https://host:8000 --login ADMINISTRATOR [--units 50]
    OUTRIDER_LOAD_PASSWORD=… python -m loadtests.prepare --end --login ADMINISTRATOR

Makes units on shift with a tracker and an officer each, and dispatchers, all named `load-…`, and writes who they are
to a plan file that only its owner can read (var/load-plan.json, or `--plan`). `--end` disables them all again.
"""

import argparse
import json
import os
import secrets
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

API = "/api/v1"
PLAN = Path("var/load-plan.json")
SHIFT = timedelta(hours=12)
INTERVAL_S = 10


class Refused(Exception):
    """The server did not take a request."""


class Desk:
    """The API as one signed-in person."""

    def __init__(self, url: str, login: str, password: str) -> None:
        self._http = httpx.Client(base_url=url + API, timeout=30)
        opened = self.post("/session", {"login": login, "password": password})
        self._http.headers["Authorization"] = f"Bearer {opened['token']}"

    def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer; raises Refused."""
        answer = self._http.post(path, json=body or {})
        if not answer.is_success:
            raise Refused(f"{path}: {answer.status_code} {answer.text[:400]}")
        return dict(answer.json()) if answer.content else {}


def prepare(url: str, login: str, password: str, *, units: int, dispatchers: int) -> dict[str, Any]:
    """The plan: where, the password of all, and who they are."""
    admin, run, secret = Desk(url, login, password), secrets.token_hex(3), secrets.token_urlsafe(24)

    def person(name: str, role: str) -> dict[str, str]:
        who = f"load-{run}-{name}"
        made = admin.post("/users", {"login": who, "name": who, "password": secret, "roles": [role]})
        return {"login": who, "user_id": made["id"]}

    plan: dict[str, Any] = {"url": url, "password": secret, "interval_s": INTERVAL_S, "crews": []}
    plan["dispatchers"] = [person(f"dispatcher-{n}", "dispatcher") for n in range(max(dispatchers, 1))]
    starter = Desk(url, plan["dispatchers"][0]["login"], secret)
    now = datetime.now(UTC)
    for n in range(units):
        officer = person(f"officer-{n}", "officer")
        unit = admin.post("/units", {"call_sign": f"load-{run}-{n}", "kind": "patrol", "members": [officer["user_id"]]})
        device = admin.post("/devices", {"unit_id": unit["id"], "protocol": "http", "interval_s": INTERVAL_S})
        period = {"from": (now - timedelta(minutes=1)).isoformat(), "to": (now + SHIFT).isoformat()}
        shift = starter.post("/shifts", {"unit_id": unit["id"], "members": [officer["user_id"]], **period})
        starter.post(f"/shifts/{shift['id']}/start")
        crew = {"unit_id": unit["id"], "device_id": device["id"], "device_key": device["key"], "shift_id": shift["id"]}
        plan["crews"].append(crew | officer)
    return plan


def end(plan: dict[str, Any], login: str, password: str) -> None:
    """Shifts ended, devices shut out, people disabled; what they did stays, as everything does."""
    admin = Desk(plan["url"], login, password)
    starter = Desk(plan["url"], plan["dispatchers"][0]["login"], plan["password"])
    for crew in plan["crews"]:
        starter.post(f"/shifts/{crew['shift_id']}/end")
        admin.post(f"/devices/{crew['device_id']}/revoke")
    for who in [*plan["crews"], *plan["dispatchers"]]:
        admin.post(f"/users/{who['user_id']}/disable")


def main(words: list[str] | None = None) -> int:
    """Prepare, or end; 1 when the server refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8000")
    parser.add_argument("--login", required=True, help="an administrator; the password is in OUTRIDER_LOAD_PASSWORD")
    parser.add_argument("--units", type=int, default=50)
    parser.add_argument("--dispatchers", type=int, default=5)
    parser.add_argument("--plan", type=Path, default=PLAN)
    parser.add_argument("--end", action="store_true", help="disable everybody in the plan, and remove it")
    given = parser.parse_args(words)
    password = os.environ.get("OUTRIDER_LOAD_PASSWORD", "")
    try:
        if given.end:
            end(json.loads(given.plan.read_text()), given.login, password)
            given.plan.unlink()
            print("Everybody in the plan is disabled.")
            return 0
        plan = prepare(given.url.rstrip("/"), given.login, password, units=given.units, dispatchers=given.dispatchers)
    except (Refused, OSError, httpx.TransportError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    given.plan.parent.mkdir(parents=True, exist_ok=True)
    given.plan.touch(mode=0o600)
    given.plan.write_text(json.dumps(plan))
    print(f"{given.units} crews and {len(plan['dispatchers'])} dispatchers; the plan is {given.plan}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
