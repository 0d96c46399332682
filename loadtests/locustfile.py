"""locust users for any server: trackers that report, dispatchers with a live socket, officers with an inbox.

    python -m loadtests.prepare http://127.0.0.1:8000 --login ADMINISTRATOR          # once; see there
    locust -f loadtests/locustfile.py                                                # its page on port 8089
    locust -f loadtests/locustfile.py --headless -u 110 -r 10 -t 1m

`OUTRIDER_LOAD_PLAN` names another plan file. Beside the requests, what sockets bring is measured as its own lines:
`live: welcome` and `inbox: welcome` (from connecting), `live: fix to frame` (from the tracker's sending to the
dispatcher's having it), `inbox: task` (from the click to the officer's having it). Units' officers and dispatchers
should run in one locust process or on one machine: they compare clocks.
"""

import json
import os
import random
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent
from locust import FastHttpUser, between, constant_pacing, task
from locust.exception import StopUser
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from loadtests.prepare import API, PLAN

PATH = Path(os.environ.get("OUTRIDER_LOAD_PLAN", str(PLAN)))
THE_PLAN: dict[str, Any] = json.loads(PATH.read_text()) if PATH.exists() else {}
TRIES = 5
CLICK = "load "
"""Begins the titles of tasks; the moment of the click follows."""
STEPS = ({"verb": "acknowledge"}, {"verb": "en_route"}, {"verb": "on_scene"},
         {"verb": "complete", "result": "nothing_found"})  # fmt: skip
FREE: set[str] = set()
"""Units whose officer is there and has nothing to do."""


def _turns(of: str) -> Iterator[dict[str, Any]]:
    yield from THE_PLAN.get(of, [])


CREWS_OF_DEVICES, CREWS_OF_OFFICERS, DISPATCHERS = _turns("crews"), _turns("crews"), _turns("dispatchers")


def _next(turns: Iterator[dict[str, Any]]) -> dict[str, Any]:
    """Who a new user is; ends the user when the plan has no more."""
    if not THE_PLAN:
        raise SystemExit(f"There is no plan {PATH}: run python -m loadtests.prepare first.")
    found = next(turns, None)
    if found is None:
        raise StopUser
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _User(FastHttpUser):
    abstract = True
    host = THE_PLAN.get("url", "http://127.0.0.1:8000")

    def tell(self, name: str, since: float, error: Exception | None = None, size: int = 0) -> None:
        """One line of the statistics, in milliseconds since a moment of `time.time()`."""
        self.environment.events.request.fire(
            request_type="WS", name=name, response_time=(time.time() - since) * 1000, response_length=size,
            exception=error, context={},
        )  # fmt: skip


class _Person(_User):
    abstract = True
    socket_path = ""

    def sign_in(self, login: str) -> None:
        """Open a session; the server may ask to come again while many sign in."""
        body = {"login": login, "password": THE_PLAN["password"]}
        for _ in range(TRIES):
            with self.client.post(f"{API}/session", json=body, name="sign in", catch_response=True) as answer:
                if answer.status_code == 201:
                    self.token = answer.json()["token"]
                    return
                if answer.status_code in {429, 503}:
                    answer.success()
                    gevent.sleep(float(answer.headers.get("Retry-After", 1)) + random.random())
        raise StopUser

    @property
    def headers(self) -> dict[str, str]:
        """Whose requests these are."""
        return {"Authorization": f"Bearer {self.token}"}

    def listen(self, name: str) -> None:
        """Keep the socket open in a greenlet of its own for as long as the user lives."""
        self.greenlets = [gevent.spawn(self._listen, name)]

    def on_stop(self) -> None:
        """End what runs beside the user."""
        gevent.killall(getattr(self, "greenlets", []))

    def _listen(self, name: str) -> None:
        while True:
            began = time.time()
            try:
                with self._connected() as socket:
                    socket.send(json.dumps({"kind": "hello", "token": self.token} | self.hello()))
                    for text in socket:
                        message = json.loads(text)
                        if message["kind"] == "welcome":
                            self.tell(f"{name}: welcome", began, size=len(text))
                        self.heard(message)
            except (ConnectionClosed, InvalidHandshake, OSError) as error:
                self.tell(f"{name}: lost", began, error)
            gevent.sleep(random.uniform(0.5, 3))

    def _connected(self) -> ClientConnection:
        address = f"{self.host}{API}{self.socket_path}".replace("http", "ws", 1)
        secure = ssl.create_default_context() if address.startswith("wss:") else None
        return connect(address, ssl=secure, max_size=None, compression=None, proxy=None)

    def hello(self) -> dict[str, Any]:
        """What the hello says beside the token."""
        return {}

    def heard(self, message: dict[str, Any]) -> None:
        """Take a message."""


class Device(_User):
    """A tracker that reports where it is every few seconds."""

    weight = max(len(THE_PLAN.get("crews", [])), 1)
    wait_time = constant_pacing(THE_PLAN.get("interval_s", 10))

    def on_start(self) -> None:
        """Begin somewhere in the country, and not all at once."""
        self.crew = _next(CREWS_OF_DEVICES)
        self.lon, self.lat = random.uniform(21.2, 26.4), random.uniform(54.0, 56.3)
        gevent.sleep(random.uniform(0, 1))

    @task
    def report(self) -> None:
        """Move on, and send it."""
        self.lon, self.lat = self.lon + random.uniform(-0.001, 0.001), self.lat + random.uniform(-0.0005, 0.0005)
        fix = {
            "fix_at": _now(),
            "lon": self.lon,
            "lat": self.lat,
            "accuracy_m": 5,
            "speed_mps": 12.5,
            "heading_deg": 90,
        }
        headers = {"Authorization": f"Bearer {self.crew['device_key']}"}
        with self.client.post(
            f"{API}/positions", json={"fixes": [fix]}, headers=headers, name="position", catch_response=True
        ) as answer:
            if answer.status_code == 200 and answer.json()["accepted"] != 1:
                answer.failure(f"not taken: {answer.text}")


class Dispatcher(_Person):
    """Somebody at the centre: the live map open, tasks to free units, now and then a notice."""

    weight = max(len(THE_PLAN.get("dispatchers", [])), 1)
    wait_time = between(1, 3)
    socket_path = "/live"

    def on_start(self) -> None:
        """Sign in and open the map."""
        self.own = {crew["unit_id"] for crew in THE_PLAN.get("crews", [])}
        self.sign_in(_next(DISPATCHERS)["login"])
        self.listen("live")

    def heard(self, message: dict[str, Any]) -> None:
        """How old a unit's fix is when it comes."""
        if message["kind"] != "units":
            return
        id_at, fix_at = message["columns"].index("unit_id"), message["columns"].index("fix_at")
        for row in message["rows"]:
            if row[id_at] in self.own:
                self.tell("live: fix to frame", datetime.fromisoformat(row[fix_at]).timestamp())

    def _send(self, path: str, name: str, body: dict[str, Any]) -> Any:
        with self.client.post(
            f"{API}{path}", json=body, headers=self.headers, name=name, catch_response=True
        ) as answer:
            if answer.status_code < 400:
                return answer.json()
            answer.failure(f"{answer.status_code} {answer.text}")
        return None

    @task(6)
    def send_task(self) -> None:
        """A task to a crew that is free."""
        if not FREE:
            return
        unit_id = FREE.pop()
        made = self._send("/tasks", "task", {
            "kind": "checkpoint", "priority": "P2", "title": f"{CLICK}{time.time()!r}", "reason_code": "random",
            "instruction": "Check the seals.", "lon": 25.3, "lat": 54.7, "unit_id": unit_id, "issue": True,
        })  # fmt: skip
        if made is None:
            FREE.add(unit_id)

    @task(1)
    def send_notice(self) -> None:
        """A notice to a few units."""
        units = random.sample(sorted(self.own), min(5, len(self.own)))
        body = {"kind": "information", "priority": "P4", "headline": "load: a notice", "to": {"units": units}}
        self._send("/notices", "notice", body)

    @task(3)
    def look(self) -> None:
        """The list of tasks and the nearest units."""
        self.client.get(f"{API}/tasks?limit=100", headers=self.headers, name="tasks")
        self.client.get(f"{API}/units/nearest?lon=25.3&lat=54.7", headers=self.headers, name="nearest")


class Officer(_Person):
    """Somebody in a unit: the inbox open; acknowledges what comes and takes every step."""

    weight = max(len(THE_PLAN.get("crews", [])), 1)
    wait_time = between(20, 40)
    socket_path = "/inbox/live"
    upto = 0

    def on_start(self) -> None:
        """Sign in and open the inbox."""
        self.crew = _next(CREWS_OF_OFFICERS)
        self.sign_in(self.crew["login"])
        self.listen("inbox")
        FREE.add(self.crew["unit_id"])

    def on_stop(self) -> None:
        """No more tasks for this unit."""
        FREE.discard(self.crew["unit_id"])
        super().on_stop()

    def hello(self) -> dict[str, Any]:
        """Go on where it stopped."""
        return {"after": self.upto}

    def heard(self, message: dict[str, Any]) -> None:
        """Acknowledge what came, then act on it."""
        if message["kind"] != "inbox" or not message["items"]:
            return
        self.upto = message["items"][-1]["seq"]
        self._post("/inbox/ack", "acknowledge inbox", {"upto": self.upto})
        for item in message["items"]:
            body = item["body"]
            if item["kind"] == "task" and body["title"].startswith(CLICK) and body["status"] == "issued":
                self.tell("inbox: task", float(body["title"].removeprefix(CLICK)))
                self.greenlets.append(gevent.spawn(self._work, body["id"]))
            elif item["kind"] == "notice":
                self._post(f"/notices/{body['id']}/acknowledge", "acknowledge notice", {"at": _now()})

    def _work(self, task_id: str) -> None:
        for step in STEPS:
            gevent.sleep(random.uniform(0.2, 1))
            self._post(f"/tasks/{task_id}/transitions", f"step: {step['verb']}", step | {"at": _now()})
        FREE.add(self.crew["unit_id"])

    def _post(self, path: str, name: str, body: dict[str, Any]) -> None:
        self.client.post(f"{API}{path}", json=body, headers=self.headers, name=name)

    @task
    def look(self) -> None:
        """What there is to do."""
        self.client.get(f"{API}/tasks?limit=20", headers=self.headers, name="own tasks")
