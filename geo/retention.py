"""How long shifts, violations, positions and what is counted from them are kept."""

from core.retention import RecordClass, Rows, answers, any_of, duty, held_object, held_place, held_unit, of_days

violation_period = of_days("retention_violation_days")

_FOUND_AT = ("r.occurred_at", "r.occurred_at")
_ON_DUTY = ("r.on_at", "coalesce(r.off_at, 'infinity')")

CLASSES: tuple[RecordClass, ...] = (
    Rows(
        "violations", "violation", "r.recorded_at", violation_period,
        held=any_of(
            held_object("violation", "r.id"), held_object("task", "r.task_id"), held_object("person", "r.recorded_by"),
            held_unit("r.unit_id", *_FOUND_AT), held_place("r.point", *_FOUND_AT),
        ),
    ),
    answers("violations", "violation", violation_period),
    Rows(
        "shifts", "shift", "r.updated_at", duty,
        held=held_unit("r.unit_id", *_ON_DUTY), due="(r.on_at IS NULL OR r.off_at IS NOT NULL)",
    ),
    answers("shifts", "shift", duty),
    Rows(
        "ingest_counts", "ingest_count", "r.day", of_days("retention_patrol_days"),
        held=(
            "EXISTS (SELECT FROM device_assignment a WHERE a.device_id = r.device_id AND "
            + held_unit("a.unit_id", "r.day", "r.day + interval '1 day'") + ")"
        ),
    ),
)  # fmt: skip
