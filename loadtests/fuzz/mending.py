"""Generated requests made nearly right, so that they come past the form to what they are for.

Generated bodies are hardly ever taken: of ten fields, one is wrong. Half of them therefore are a body that is taken
(the ones the tests put hostile values into), with a field or two of the generated one; ids in paths and bodies are of
things there are, also of those that earlier requests made.
"""

import json
import random
import re
from collections import defaultdict, deque
from datetime import datetime, timedelta
from typing import Any

from schemathesis import Case

from core.db import utcnow
from core.ids import new_id
from loadtests.fuzz.scene import API, Desk
from tests.dispatch_api.hostile_cases import CASES

MENDED = 0.6
OVERLAID = (0, 0, 1, 1, 2)
"""How many fields of the generated body are put into the good one, each as likely as another."""
LEFT_OUT = 0.8
"""How often a further parameter of a query, which one request in two has wrong, is not asked with."""
PHASES = {"fuzzing", "stateful"}
"""Those that enumerate are left as they are."""
KEPT = 20
SLOW_ON_PURPOSE = {f"POST {API}/session{part}" for part in ("", "/factor", "/password")}
"""A password costs a quarter of a second: these are tried by what the other phases send."""
DRAWN = f"GET {API}/reports/violations-heatmap"
DRAWN_SHARE = 0.05
"""The server takes a second to draw this as HTML, in a process of its own; most therefore ask for its numbers."""
DAYS_PLANNED = 300
UNIQUE = ("login", "call_sign", "code", "identifier")
MADE_AT = {
    "/tasks": "task_id", "/tasks/self": "task_id", "/notices": "notice_id", "/violations": "violation_id",
    "/shifts": "shift_id", "/shifts/start": "shift_id", "/users": "user_id", "/devices": "device_id",
    "/holds": "hold_id", "/installs": "install_id", "/attachments": "attachment_id", "/stop-forms": "form_id",
    "/phones": "phone_id", "/panic": "alert_id", "/hotspot-runs": "run_id",
}  # fmt: skip
VERBS = ("issue", "reassign", "pause", "resume", "cancel", "close", "return", "discard", "acknowledge", "decline",
         "en_route", "on_scene", "complete", "fail")  # fmt: skip
CSV = "id,category,occurred_at,lon,lat,coord_source\n{},fuel,2026-11-01T10:00:00Z,25.3,54.7,gps\n"
NMEA = "$GPRMC,120000.00,A,5441.0000,N,02518.0000,E,0.0,0.0,281126,,,A*%02X\r\n"


def spare(case: Case, chance: random.Random) -> None:
    """Let most requests for what is slow to draw ask for the same as CSV."""
    if case.operation.label != DRAWN or case.method != "GET" or chance.random() < DRAWN_SHARE:
        return
    if (case.query or {}).get("format", "html") == "html":
        case.query = dict(case.query or {}) | {"format": "csv"}


class Mender:
    """What it knows of: the things of the desk, what was made since, and the versions that were told."""

    def __init__(self, desk: Desk, role: str, seed: int) -> None:
        self._chance, self._desk, self._role = random.Random(f"{seed} {role}"), desk, role
        self._made: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._versions = dict(desk.versions)
        self._good: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for case in CASES:
            self._good[_plain(f"{case.method} {API}{case.path}")].append(case.body)
        steps = self._good[f"POST {API}/tasks/*/transitions"]
        steps += [steps[0] | {"verb": verb} for verb in VERBS]

    def mends(self, phase: str) -> bool:
        """Whether the next request of this phase is to be mended: more often than not."""
        return phase in PHASES and self._chance.random() < MENDED

    def mend(self, case: Case, phase: str) -> bytes | None:
        """Make the request nearly right; returns what to send in place of its body, if that is no JSON."""
        label = case.operation.label
        if phase == "fuzzing":  # chains have ids of their own
            for name in case.path_parameters or {}:
                if there := [*self._desk.ids.get(name, []), *self._made[name]]:
                    case.path_parameters[name] = self._chance.choice(there)
        if label in SLOW_ON_PURPOSE:
            return None
        self._ask_well(case)
        if good := self._good.get(_plain(label)):
            case.media_type, case.body = "application/json", self._body(case, self._chance.choice(good))
        elif content := self._content(label):
            case.media_type, data = content
            case.headers["Content-Type"] = case.media_type
            return data
        return None

    def learn(self, path: str, status: int, content: bytes) -> None:
        """Remember what a request made, and which version of it."""
        if status not in (200, 201, 202) or not content.startswith(b"{"):
            return
        told = json.loads(content)
        thing = told.get("task") or told
        if isinstance(id_ := thing.get("id"), str):
            if isinstance(version := thing.get("version"), int):
                self._versions[id_] = version
            if status != 200 and (name := MADE_AT.get(path.removeprefix(API))):
                self._made[name].append(id_)

    def _body(self, case: Case, good: dict[str, Any]) -> dict[str, Any]:
        text = re.sub(r"\$(\w+)", lambda name: self._desk.names.get(name[1], name[0]), json.dumps(good))
        body = json.loads(text)
        mark = self._chance.getrandbits(48)
        if "id" in body:
            body["id"] = str(new_id())
        body |= {name: f"{body[name]}{mark:x}" for name in UNIQUE if name in body}
        if "members" in body and "from" in body:  # a unit has one shift at a time
            later = timedelta(hours=self._chance.randrange(DAYS_PLANNED * 24))
            body |= {name: (datetime.fromisoformat(body[name]) + later).isoformat() for name in ("from", "to")}
        if self._chance.random() < LEFT_OUT:
            body.pop("supersedes", None)  # only once can a thing be
        for id_ in (case.path_parameters or {}).values():
            if "version" in body:
                body["version"] = self._versions.get(str(id_), 1)
        if not isinstance(generated := case.body, dict):
            return dict(body)
        overlaid = self._chance.sample(sorted(generated), min(self._chance.choice(OVERLAID), len(generated)))
        return dict(body) | {name: generated[name] for name in overlaid}

    def _ask_well(self, case: Case) -> None:
        """Ranges that are ranges, places that are places, no cursor."""
        asked, now = case.query or {}, utcnow()
        names = {each.name for each in case.operation.query}
        day = "date" if "patrol-minutes" in case.path else "date-time"
        since, until = now - timedelta(hours=self._chance.randrange(1, 700)), now
        good = {
            "bbox": "24.0,54.0,26.5,55.5", "from": since.isoformat(), "to": until.isoformat(), "lon": 25.3, "lat": 54.7,
            "zoom": self._chance.randrange(23), "reason_code": "incident", "reason": "r", "offset": 0,
        }  # fmt: skip
        if day == "date":
            good |= {"from": since.date().isoformat(), "to": until.date().isoformat()}
        required = {each.name for each in case.operation.query if each.is_required}
        for name in names & good.keys():
            if name in required or name in asked:
                asked[name] = good[name]
        asked.pop("after", None)
        for name in asked.keys() - good.keys() - required - self._desk.ids.keys():
            if self._chance.random() < LEFT_OUT:
                del asked[name]
        for name in asked.keys() & self._desk.ids.keys():
            asked[name] = self._chance.choice(self._desk.ids[name])
        if case.path.endswith("/stop-forms") or case.path.endswith("/attachments"):
            asked["task_id"] = self._desk.names["issued"]
        case.query = asked

    def _content(self, label: str) -> tuple[str, bytes] | None:
        """What is no JSON by its description, and what the trackers' ways take."""
        at, key = utcnow().isoformat(), self._desk.device_key
        fix = {"fix_at": at, "lat": 54.7, "lon": 25.3, "accuracy_m": 5}
        second = int(utcnow().timestamp())
        sentence = NMEA[1:].partition("*")[0]
        check = 0
        for letter in sentence:
            check ^= ord(letter)
        contents: dict[str, tuple[str, Any]] = {
            f"POST {API}/violations/import": ("text/csv", CSV.format(new_id())),
            f"POST {API}/devices/{{device_id}}/tracks/import": ("text/csv", f"fix_at,lat,lon\n{at},54.7,25.3\n"),
            f"PUT {API}/attachments/{{attachment_id}}/content": ("application/octet-stream", "123456789"),
            f"POST {API}/positions": ("application/json", {"fixes": [fix]}),
            "POST /ingest/owntracks": (
                "application/json", {"_type": "location", "lat": 54.7, "lon": 25.3, "tst": second, "acc": 5}
            ),
            "POST /ingest/overland": (
                "application/json",
                {"locations": [{"type": "Feature", "geometry": {"type": "Point", "coordinates": [25.3, 54.7]},
                                "properties": {"timestamp": at}}]},
            ),
            "POST /ingest/traccar": (
                "application/json",
                {"device": {"uniqueId": "1"}, "position": {"fixTime": at, "latitude": 54.7, "longitude": 25.3,
                                                           "valid": True}},
            ),
            "POST /ingest/nmea": ("text/plain", NMEA % check),
            "POST /ingest/osmand": (
                "application/x-www-form-urlencoded", f"id={key}&lat=54.7&lon=25.3&timestamp={second}"
            ),
            "POST /ingest/gpslogger": (
                "application/x-www-form-urlencoded", f"key={key}&lat=54.7&lon=25.3&time={at[:19]}Z"
            ),
        }  # fmt: skip
        if label not in contents:
            return None
        media_type, content = contents[label]
        return media_type, (content if isinstance(content, str) else json.dumps(content)).encode()


def _plain(label: str) -> str:
    """An operation's label with every id as `*`."""
    return re.sub(r"\{\w+\}|\$\w+|0190a0a0-[0-9a-f-]+", "*", label)
