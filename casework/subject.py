"""What is held about one person: stops recorded, files sent."""

from core.subject import Section

SECTIONS = (
    Section(
        "stop_forms", "Stops recorded",
        "SELECT id, number, recorded_at, first_stopped_at, ST_X(point) AS lon, ST_Y(point) AS lat, reason_code, result,"
        " body FROM stop_form WHERE recorded_by = :user_id ORDER BY number",
    ),
    Section(
        "attachments", "Photos and files sent",
        "SELECT id, created_at, name, media_type, size, sha256, status, captured_at, ST_X(point) AS lon,"
        " ST_Y(point) AS lat, task_id, violation_id, stop_form_id FROM attachment WHERE created_by = :user_id"
        " ORDER BY created_at",
    ),
)  # fmt: skip
