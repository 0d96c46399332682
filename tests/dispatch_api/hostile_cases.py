"""For every route that takes JSON a body it takes, to put hostile values into."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from core.db import utcnow
from tests.helpers import PASSWORD

API = "/api/v1"
MIB = 2**20
HUGE = 100 * MIB
NOW = (utcnow() - timedelta(hours=1)).isoformat(timespec="seconds")
LONG_AGO = (utcnow() - timedelta(days=90)).isoformat(timespec="seconds")
LATER = (utcnow() + timedelta(hours=3)).isoformat(timespec="seconds")
SQUARE = {"type": "Polygon", "coordinates": [[[25.0, 54.0], [25.1, 54.0], [25.1, 54.1], [25.0, 54.0]]]}
NO_ID = "0190a0a0-0000-7000-8000-000000000000"
INSTALL = NO_ID[:-2] + "ff"
CODE = {400: "malformed", 413: "too_large", 422: "invalid"}


@dataclass(frozen=True)
class Case:
    """A route and a body it takes: `$name` stands for an id of the desk. `status` is the answer to that body."""

    method: str
    path: str
    role: str
    body: dict[str, Any]
    status: int = 200

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


CASES = [
    Case("POST", "/session", "nobody", {"login": "$login", "password": PASSWORD, "code": "123456"}, 201),
    Case("POST", "/session/factor", "nobody", {"login": "$login", "password": PASSWORD}),
    Case("POST", "/session", "nobody", {"install_id": "$install", "credential": "$credential", "pin": "1234"}, 201),
    Case("POST", "/session/password", "auditor", {"old": PASSWORD, "new": "another long password"}, 204),
    Case("POST", "/installs", "officer", {
        "id": "0190a0a0-0000-7000-8000-000000000001", "name": "phone", "pin": "1234",
        "push": {"channel": "fcm", "target": "f1d", "target_kind": "fid"},
    }, 201),
    Case("POST", f"/installs/{NO_ID}/pin", "officer", {"pin": "2580"}, 404),
    Case("PUT", f"/installs/{NO_ID}/push", "officer", {
        "push": {"channel": "fcm", "target": "f1d", "target_kind": "fid"},
    }, 404),
    Case("POST", f"/installs/{NO_ID}/revoke", "administrator", {"id": NO_ID[:-2] + "21", "recover": True}, 404),
    Case("POST", f"/installs/{NO_ID}/recovery", "nobody", {
        "credential": "oi_x",
        "records": [{"id": NO_ID, "method": "PUT", "path": "/api/v1/inbox/ack", "at": NOW, "body": "{}"}],
    }, 401),
    Case("POST", f"/installs/{NO_ID}/contact", "nobody", {"credential": "oi_x"}, 401),
    Case("POST", "/offices", "administrator", {"id": NO_ID[:-1] + "2", "code": "LT1", "name": "x", "boundary": SQUARE},
         201),
    Case("POST", "/users", "administrator", {
        "id": NO_ID[:-1] + "3", "login": "jonas", "name": "Jonas", "password": "another long password",
        "roles": ["officer"], "office_id": "$office", "badge_no": "7", "email": "a@example.lt", "phone": "+37060000000",
    }, 201),
    Case("PATCH", "/users/$user", "administrator", {
        "version": 1, "name": "Jonas", "roles": ["officer"], "office_id": "$office", "badge_no": "8",
        "email": "b@example.lt", "phone": "+37060000001",
    }),
    Case("POST", "/units", "administrator", {
        "id": NO_ID[:-1] + "4", "call_sign": "H-4", "kind": "patrol", "capabilities": ["dog"], "tracking": "on_shift",
        "office_id": "$office", "members": ["$user"], "deputy_unit_id": "$unit",
    }, 201),
    Case("PATCH", "/units/$other", "administrator", {
        "version": 1, "call_sign": "H-5", "kind": "patrol", "capabilities": ["dog"], "tracking": "on_shift",
        "office_id": "$office", "members": ["$user"], "deputy_unit_id": "$unit",
    }),
    Case("POST", "/devices", "administrator", {
        "id": NO_ID[:-1] + "5", "unit_id": "$unit", "protocol": "osmand", "identifier": "i-5", "valid_from": NOW,
        "interval_s": 10, "speed_unit": "kmh", "forwards_for": [],
    }, 201),
    Case("POST", "/devices/bulk", "administrator", {
        "id": NO_ID[:-1] + "6",
        "items": [{"unit_id": "$unit", "protocol": "http", "valid_from": NOW, "interval_s": 10}],
    }, 201),
    Case("POST", "/devices/unknown/register", "administrator", {
        "id": NO_ID[:-2] + "1b", "protocol": "teltonika", "identifier": "350000000000000", "unit_id": "$unit",
        "interval_s": 10,
    }, 404),
    Case("POST", "/devices/unknown/forget", "administrator", {"protocol": "gt06", "identifier": "1"}, 404),
    Case("POST", "/devices/unknown/ignore", "administrator", {"protocol": "gt06", "identifier": "1"}, 404),
    Case("POST", "/devices/$device/assign", "administrator", {
        "id": NO_ID[:-2] + "1d", "unit_id": "$other", "valid_from": NOW,
    }),
    Case("POST", "/devices/$device/rotate-key", "administrator", {"id": NO_ID[:-2] + "1e", "overlap_s": 60}),
    Case("POST", f"/devices/{NO_ID}/revoke", "administrator", {"id": NO_ID[:-2] + "1f"}, 404),
    Case("POST", f"/users/{NO_ID}/disable", "administrator", {"id": NO_ID[:-2] + "20"}, 404),
    Case("POST", f"/role-grants/{NO_ID}/grant", "administrator", {"id": NO_ID[:-2] + "d1"}, 404),
    Case("POST", f"/role-grants/{NO_ID}/refuse", "administrator", {"id": NO_ID[:-2] + "d2"}, 404),
    Case("POST", f"/users/{NO_ID}/reset-password", "administrator", {"id": NO_ID[:-2] + "2b"}, 404),
    Case("POST", f"/users/{NO_ID}/reset-factor", "administrator", {"id": NO_ID[:-2] + "2a"}, 404),
    Case("POST", "/shifts", "dispatcher", {
        "id": NO_ID[:-1] + "7", "unit_id": "$other", "members": ["$user"], "from": NOW, "to": LATER,
    }, 201),
    Case("PATCH", "/shifts/$planned", "dispatcher", {
        "version": 1, "members": ["$user"], "from": NOW, "to": LATER,
    }),
    Case("POST", f"/shifts/{NO_ID}/cancel", "dispatcher", {"id": NO_ID[:-2] + "2c"}, 404),
    Case("POST", "/shifts/$planned/start", "dispatcher", {"id": NO_ID[:-1] + "8", "at": NOW}),
    Case("POST", "/shifts/$planned/end", "dispatcher", {
        "id": NO_ID[:-1] + "9", "odometer_to_km": 7, "handover_note": "x",
    }),
    Case("POST", "/shifts/start", "officer", {
        "id": NO_ID[:-1] + "a", "unit_id": "$unit", "members": [], "at": NOW, "odometer_from_km": 7,
        "equipment_check": [{"item": "radio", "state": "ok"}],
    }),
    Case("POST", f"/shifts/{NO_ID}/positions", "officer", {
        "fixes": [{"fix_at": NOW, "lat": 55.0, "lon": 21.0, "accuracy_m": 9.0, "altitude_m": 5.0, "speed_mps": 1.0,
                   "heading_deg": 1.0, "battery_pct": 50.0}],
    }, 404),
    Case("POST", "/shifts/mine/end", "officer", {"id": NO_ID[:-2] + "f0", "at": NOW, "handover_note": "x"}),
    Case("POST", "/phones", "officer", {"id": NO_ID[:-2] + "f1", "app": "traccar"}, 201),
    Case("POST", "/tasks", "dispatcher", {
        "id": NO_ID[:-1] + "b", "kind": "checkpoint", "priority": "P4", "title": "t", "instruction": "i",
        "reason_code": "random", "reason": "r", "lon": 25.3, "lat": 54.7, "address": "Vilnius", "window_from": NOW,
        "window_to": LATER, "unit_id": "$unit", "required_capabilities": ["dog"], "exercise": False, "issue": False,
        "override_reason": "o", "divert": False,
    }, 201),
    Case("POST", "/tasks", "dispatcher", {
        "kind": "checkpoint", "priority": "P4", "title": "t", "reason_code": "random", "area": SQUARE,
        "point": {"type": "Point", "coordinates": [25.3, 54.7]},
    }, 201),
    Case("PATCH", "/tasks/$draft", "dispatcher", {
        "id": NO_ID[:-1] + "c", "version": 1, "kind": "escort", "priority": "P3", "title": "u", "instruction": "i",
        "reason_code": "random", "reason": "r", "lon": 25.3, "lat": 54.7, "address": "Vilnius", "window_from": NOW,
        "window_to": LATER, "unit_id": "$unit", "required_capabilities": ["dog"], "exercise": True,
    }),
    Case("POST", "/tasks/self", "officer", {
        "id": NO_ID[:-1] + "d", "unit_id": "$unit", "kind": "stop_vehicle", "title": "t", "reason_code": "random",
        "reason": "r", "at": NOW, "lon": 25.3, "lat": 54.7, "accuracy_m": 8.5,
    }, 201),
    Case("POST", "/tasks/$issued/seen", "officer", {"id": NO_ID[:-1] + "e", "at": NOW}),
    Case("POST", "/tasks/$issued/support", "dispatcher", {
        "id": NO_ID[:-1] + "f", "unit_id": "$other", "version": 2,
    }),
    Case("POST", "/tasks/$issued/support/$unit/withdraw", "dispatcher", {
        "id": NO_ID[:-2] + "22", "version": 2, "reason": "r",
    }, 404),
    Case("POST", "/tasks/$issued/transitions", "officer", {
        "id": NO_ID[:-2] + "10", "verb": "acknowledge", "version": 1, "unit_id": "$unit", "at": NOW,
        "accuracy_m": 8.5, "reason_code": "other", "reason": "r", "result": "nothing_found", "override_reason": "o",
        "divert": False, "lon": 25.3, "lat": 54.7,
    }),
    Case("POST", "/tasks/$issued/resolve", "dispatcher", {
        "id": NO_ID[:-2] + "11", "outcome": "work_counts", "reason": "r",
    }, 409),
    Case("POST", f"/alerts/{NO_ID}/take", "dispatcher", {"id": NO_ID[:-2] + "12"}, 404),
    Case("POST", f"/alerts/{NO_ID}/close", "dispatcher", {"id": NO_ID[:-2] + "c1", "reason": "r"}, 404),
    Case("POST", "/notices", "dispatcher", {
        "id": NO_ID[:-2] + "13", "kind": "information", "priority": "P4", "headline": "h", "body": "b",
        "instruction": "i", "valid_to": LATER, "supersedes": "$older",
        "to": {"units": ["$unit"], "offices": ["$office"], "area": SQUARE, "everyone": False},
    }, 201),
    Case("POST", "/notices/$notice/seen", "officer", {"id": NO_ID[:-2] + "14", "at": NOW}),
    Case("POST", "/notices/$notice/acknowledge", "officer", {"id": NO_ID[:-2] + "15", "at": NOW, "state": "sent"}),
    Case("POST", "/notices/$notice/reply", "officer", {"id": NO_ID[:-2] + "16", "at": NOW, "text": "yes"}, 201),
    Case("POST", "/notices/$notice/cancel", "dispatcher", {"id": NO_ID[:-2] + "17"}),
    Case("POST", "/handovers", "dispatcher", {"id": NO_ID[:-2] + "e1", "note": "n"}, 201),
    Case("POST", f"/handovers/{NO_ID}/confirm", "dispatcher", {"id": NO_ID[:-2] + "e2"}, 404),
    Case("POST", "/inbox/ack", "officer", {"id": NO_ID[:-2] + "18", "install_id": "$install", "upto": 0}),
    Case("POST", "/violations", "officer", {
        "id": NO_ID[:-2] + "19", "category": "fuel", "occurred_at": NOW, "lon": 25.3, "lat": 54.7, "accuracy_m": 8.5,
        "coord_source": "gps", "method": "in_cargo", "goods_category": "beer", "quantity": 1.5,
        "evaded_duties_eur": 10.5, "note": "n", "task_id": "$issued",
    }, 201),
    Case("POST", "/violations/$violation/corrections", "supervisor", {
        "id": NO_ID[:-2] + "1a", "version": 1, "reason_code": "place", "reason": "r",
        "changes": {"category": "cash", "occurred_at": NOW, "lon": 25.4, "lat": 54.8, "accuracy_m": 9.5,
                    "coord_source": "map", "method": "in_tyre", "goods_category": "wine", "quantity": 2.5,
                    "evaded_duties_eur": 11.5, "note": "n", "task_id": "$issued"},
    }, 201),
    Case("POST", "/tasks/$issued/messages", "dispatcher", {"id": NO_ID[:-2] + "42", "text": "t", "at": NOW}, 201),
    Case("POST", "/tasks/$issued/support-requests", "officer", {
        "id": NO_ID[:-2] + "43", "capability": "dog", "priority": "P2", "text": "t", "at": NOW, "lon": 25.3,
        "lat": 54.7, "accuracy_m": 8.5,
    }, 201),
    Case("POST", "/panic", "officer", {
        "id": NO_ID[:-2] + "44", "at": NOW, "lon": 25.3, "lat": 54.7, "accuracy_m": 8.5,
    }, 201),
    Case("POST", "/stop-forms", "officer", {
        "id": NO_ID[:-2] + "45", "task_id": "$issued", "officers": ["$user"], "legal_base": "l",
        "reason_code": "random", "grounds": "g", "search_object": "o", "first_stopped_at": NOW, "lon": 25.3,
        "lat": 54.7, "accuracy_m": 8.5, "coord_source": "gps", "place_text": "p", "searched_at": NOW,
        "searched_lon": 25.3, "searched_lat": 54.7, "ended_at": LATER, "declaration_ref": "r",
        "vehicle": {"plate": "ABC123", "country": "LT", "vin": "v", "make": "m", "colour": "c",
                    "trailer_plate": "AB123", "containers": ["CSQU3054383"]},
        "persons": [{"role": "driver", "category": "other", "basis": "fact", "name": "n", "description": "d",
                     "birth_date": "1980-01-31", "nationality": "LT", "document": "d"}],
        "company": {"name": "n", "number": "1"}, "control_types": ["documentary"], "findings": "f",
        "result": "violation", "violation_ids": ["$violation"], "measures": ["fine"], "other_measures": "m",
        "penalties": [{"kind": "fine", "amount_eur": 10.5}], "recommendation_followed": True,
        "recommendation_why_not": "w", "injury_damage": "i", "copy_given": "yes", "remarks": "r", "exercise": True,
    }, 201),
    Case("POST", "/attachments", "officer", {
        "id": NO_ID[:-2] + "40", "task_id": "$issued", "name": "a.jpg", "media_type": "image/jpeg", "size": 9,
        "sha256": "ab" * 32, "captured_at": NOW, "lon": 25.3, "lat": 54.7, "accuracy_m": 8.5,
    }, 201),
    Case("POST", f"/attachments/{NO_ID}/complete", "officer", {"id": NO_ID[:-2] + "41"}, 404),
    Case("POST", "/holds", "investigator", {
        "id": NO_ID[:-2] + "1b", "kind": "unit", "object_id": "$unit", "from": NOW, "to": LATER, "reason": "r",
        "reference": "1/2026", "ends_at": LATER,
    }, 201),
    Case("POST", "/holds", "investigator", {"kind": "area", "area": SQUARE, "from": NOW, "to": LATER, "reason": "r"},
         201),
    Case("POST", "/hotspot-runs", "supervisor", {
        "id": NO_ID[:-2] + "7a", "from": LONG_AGO, "to": NOW, "horizon_days": 30, "cell_m": 250, "area_share": 0.01,
        "method": "eb", "placement": "free", "area": SQUARE, "categories": ["fuel"], "score_at": [["a", 25.05, 54.05]],
    }, 202),
    Case("POST", "/holds/$hold/release", "investigator", {"id": NO_ID[:-2] + "1c", "reason": "r"}),
]  # fmt: skip
