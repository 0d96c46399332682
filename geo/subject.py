"""What is held about one person: units, shifts, positions while on shift, violations."""

from core.subject import Section

_SHIFTS = "shift_member m JOIN shift s ON s.id = m.shift_id JOIN unit u ON u.id = s.unit_id"

SECTIONS = (
    Section(
        "units", "Units the person belongs to",
        "SELECT u.id, u.call_sign, u.kind FROM unit_member m JOIN unit u ON u.id = m.unit_id"
        " WHERE m.user_id = :user_id ORDER BY u.call_sign",
    ),
    Section(
        "shifts", "Shifts",
        "SELECT s.id, u.call_sign, s.planned_from, s.planned_to, s.on_at, s.off_at, s.cancelled_at"  # noqa: S608
        f" FROM {_SHIFTS} WHERE m.user_id = :user_id ORDER BY coalesce(s.on_at, s.planned_from)",
    ),
    Section(
        "positions", "Positions of the unit while the person was on shift",
        "SELECT p.fix_at, p.received_at, u.call_sign, p.device_id, ST_X(p.point) AS lon, ST_Y(p.point) AS lat,"  # noqa: S608
        " p.accuracy_m, p.altitude_m, p.speed_mps, p.heading_deg, p.battery_pct, p.event, p.suspect"
        f" FROM {_SHIFTS} CROSS JOIN LATERAL (SELECT device_id AS id FROM device_assignment WHERE unit_id = s.unit_id"
        " UNION SELECT id FROM device WHERE user_id IN"
        " (SELECT user_id FROM shift_member WHERE shift_id = s.id)) d"
        " JOIN position p ON p.device_id = d.id AND p.unit_id = s.unit_id"
        " AND p.fix_at >= s.on_at AND p.fix_at < coalesce(s.off_at, 'infinity')"
        " WHERE m.user_id = :user_id ORDER BY s.on_at, p.fix_at",
        is_bulk=True,
    ),
    Section(
        "tracks_read", "Who read tracks of those units in those times",
        "SELECT e.at, e.actor_login, e.action, u.call_sign, e.fields FROM audit_event e"
        " JOIN unit u ON u.id::text = e.object_id WHERE e.object_kind = 'track' AND EXISTS ("
        " SELECT FROM shift_member m JOIN shift s ON s.id = m.shift_id WHERE m.user_id = :user_id AND s.unit_id = u.id"
        " AND s.on_at < CAST(e.fields ->> 'to' AS timestamptz)"
        " AND coalesce(s.off_at, 'infinity') >= CAST(e.fields ->> 'from' AS timestamptz)) ORDER BY e.at, e.id",
    ),
    Section(
        "violations", "Violations recorded",
        "SELECT id, category, occurred_at, recorded_at, ST_X(point) AS lon, ST_Y(point) AS lat, accuracy_m,"
        " coord_source, method, goods_category, quantity, quantity_unit, evaded_duties_eur, note, place_text, plate,"
        " task_id, unit_id, version"
        " FROM violation WHERE recorded_by = :user_id ORDER BY occurred_at",
    ),
    Section(
        "corrections", "Corrections of violations made",
        'SELECT at, violation_id, version, reason_code, reason, changes FROM violation_addendum WHERE "by" = :user_id'
        " ORDER BY at",
    ),
)  # fmt: skip
