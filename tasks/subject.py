"""What is held about one person: tasks made, steps taken, notices, hand-overs."""

from core.subject import Section

SECTIONS = (
    Section(
        "tasks", "Tasks made",
        "SELECT id, number, created_at, kind, priority, status, title, instruction, reason_code, reason FROM task"
        " WHERE created_by = :user_id ORDER BY number",
    ),
    Section(
        "task_steps", "Steps taken on tasks",
        "SELECT t.number AS task, e.at, e.received_at, e.verb, e.from_status, e.to_status, e.result, e.reason_code,"
        " e.reason, ST_X(e.point) AS lon, ST_Y(e.point) AS lat FROM task_event e JOIN task t ON t.id = e.task_id"
        ' WHERE e."by" = :user_id ORDER BY e.received_at',
    ),
    Section(
        "messages", "Messages about tasks",
        "SELECT t.number AS task, m.at, m.received_at, m.kind, m.text"
        " FROM task_message m JOIN task t ON t.id = m.task_id"
        ' WHERE m."by" = :user_id ORDER BY m.id',
    ),
    Section(
        "alarm_messages", "E-mails and SMS about alarms",
        "SELECT t.number AS task, m.channel, m.owed_at, m.done_at, m.outcome"
        " FROM alert_message m JOIN alert a ON a.id = m.alert_id JOIN task t ON t.id = a.task_id"
        " WHERE m.user_id = :user_id ORDER BY m.owed_at",
    ),
    Section(
        "notices_sent", "Notices sent",
        "SELECT id, number, created_at, kind, priority, headline, body, instruction, addressed FROM notice"
        " WHERE created_by = :user_id ORDER BY number",
    ),
    Section(
        "notices_received", "Notices received",
        "SELECT n.number, n.kind, n.headline, r.channel, r.queued_at, r.delivered_at, r.seen_at, r.acknowledged_at"
        " FROM notice_recipient r JOIN notice n ON n.id = r.notice_id WHERE r.user_id = :user_id ORDER BY n.number",
    ),
    Section(
        "handovers", "Hand-overs given, or confirmed",
        "SELECT id, given_at, given_by = :user_id AS is_given_by_them,"
        " CASE WHEN given_by = :user_id THEN note END AS note, n_tasks, n_notices, n_silent, confirmed_at,"
        " confirmed_by = :user_id AS is_confirmed_by_them FROM handover"
        " WHERE :user_id IN (given_by, confirmed_by) ORDER BY given_at",
    ),
)  # fmt: skip
