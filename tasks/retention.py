"""How long tasks, notices and hand-overs are kept."""

from core.retention import RecordClass, Rows, answers, any_of, duty, held_object, held_place, held_unit

_LASTED = ("r.created_at", "r.updated_at")

CLASSES: tuple[RecordClass, ...] = (
    Rows(
        "tasks", "task", "r.updated_at", duty,
        held=any_of(
            held_object("task", "r.id"),
            "EXISTS (SELECT FROM violation v WHERE v.task_id = r.id AND " + held_object("violation", "v.id") + ")",  # nosec B608: constants only
            held_object("person", "r.created_by"),
            "EXISTS (SELECT FROM task_event e WHERE e.task_id = r.id AND "  # nosec B608: constants only
            + any_of(held_object("person", "e.by"), held_unit("e.unit_id", "e.at", "e.at")) + ")",
            held_unit("r.unit_id", *_LASTED),
            "EXISTS (SELECT FROM task_support u WHERE u.task_id = r.id AND " + held_unit("u.unit_id", *_LASTED) + ")",  # nosec B608: constants only
            held_place("coalesce(r.area, r.point)", *_LASTED),
        ),
    ),
    answers("tasks", "task", duty),
    Rows(
        "alerts", "alert", "r.updated_at", duty,
        held=any_of(held_object("task", "r.task_id"), held_unit("r.unit_id", "r.raised_at", "r.updated_at")),
        due="r.cleared_at IS NOT NULL",
    ),
    Rows(
        "notices", "notice", "r.updated_at", duty,
        held=any_of(
            held_object("person", "r.created_by"),
            "EXISTS (SELECT FROM notice_recipient n WHERE n.notice_id = r.id AND "  # nosec B608: constants only
            + any_of(held_object("person", "n.user_id"), held_unit("n.unit_id", *_LASTED)) + ")",
        ),
        due="(r.valid_to IS NULL OR r.valid_to < :before)",
    ),
    answers("notices", "notice", duty),
    Rows(
        "handovers", "handover", "r.given_at", duty,
        held=any_of(
            held_object("person", "r.given_by"), held_object("person", "r.confirmed_by"),
            "EXISTS (SELECT FROM active_hold h WHERE h.kind = 'task'"  # nosec B608: constants only
            " AND jsonb_path_exists(r.listed, '$.tasks[*] ? (@.id == $id)', jsonb_build_object('id', h.object_id)))",
        ),
    ),
    answers("handovers", "handover", duty),
)  # fmt: skip
