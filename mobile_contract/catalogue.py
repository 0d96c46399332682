"""All that officers' apps may rely on, by name, and its version.

A change that an app of the version before would not survive needs a new major version, served beside the old one; what
counts as such is `mobile_contract/compare.py`, and a test holds every change against what was published.
"""

from pydantic import BaseModel

from mobile_contract import aide_memoires, attachments, duty, messages, resources, session, stop_forms, talk, violations

VERSION = "1.2"
"""major.minor: with the minor only fields, routes and messages are added."""

_RESOURCES = (
    resources.InboxAck, resources.InboxItem, resources.InboxPage, resources.Notice, resources.NoticeItem,
    resources.Reply, resources.Task, resources.TaskEvent, resources.Transition,
)  # fmt: skip
ANSWERS: dict[str, type[BaseModel]] = {
    model.__name__: model
    for model in (
        *_RESOURCES, aide_memoires.AideMemoires, attachments.Attachment, duty.DutySheet, duty.OwnPositionsOut,
        duty.PhoneOut, duty.Shift, duty.Unit, session.FactorOut, session.Install, session.InstallOut, session.MeOut,
        session.OfflineKey, session.PushConfig, session.RecoveryOut, session.SessionOut, session.TicketOut,
        stop_forms.StopForm, talk.Message, talk.Panic, violations.Violation, violations.Violations,
    )
}  # fmt: skip
"""What the server answers."""
REQUESTS: dict[str, type[BaseModel]] = {
    model.__name__: model
    for model in (
        attachments.AttachmentIn, attachments.CompleteIn, duty.EndIn, duty.OwnPositionsIn, duty.OwnStartIn,
        duty.PhoneIn, duty.StartIn, resources.InboxAckIn,
        resources.NoticeAckIn, resources.ReceiptIn, resources.ReplyIn, resources.SelfTaskIn, resources.TransitionIn,
        session.ContactIn, session.FactorIn, session.InstallIn, session.PasswordIn, session.PinIn, session.PushIn,
        session.RecoveryIn, session.SessionIn,
        stop_forms.StopFormIn, talk.MessageIn, talk.PanicIn, talk.SupportRequestIn, violations.ViolationIn,
    )
}  # fmt: skip
"""What apps send."""
TO_SERVER: dict[str, type[BaseModel]] = {
    model.__name__: model for model in (messages.Hello, messages.Ack, messages.Ping)
}
"""What apps send over `/inbox/live`."""
TO_CLIENT: dict[str, type[BaseModel]] = {
    model.__name__: model
    for model in (
        messages.Welcome, messages.InboxMessage, messages.Pong, messages.Beat, messages.Resync, messages.Bye,
    )
}  # fmt: skip
"""What the server sends over `/inbox/live`."""
PUSHES: dict[str, type[BaseModel]] = {"PushPayload": session.PushPayload}
"""What a push holds, as its `data`."""

MODELS = REQUESTS | ANSWERS | TO_SERVER | TO_CLIENT | PUSHES
ROUTES = (
    "POST /session", "POST /session/factor", "DELETE /session", "POST /session/password",
    "POST /session/socket-ticket", "GET /me", "GET /code-lists", "GET /aide-memoires", "POST /installs",
    "GET /installs", "GET /installs/push-config",
    "POST /installs/{install_id}/pin",
    "PUT /installs/{install_id}/push", "GET /installs/{install_id}/offline-key", "POST /installs/{install_id}/revoke",
    "POST /installs/{install_id}/recovery", "POST /installs/{install_id}/contact",
    "GET /inbox", "POST /inbox/ack", "GET /units", "GET /units/{unit_id}",
    "GET /units/{unit_id}/track", "GET /positions/latest", "GET /shifts/mine", "POST /shifts/start",
    "POST /shifts/{shift_id}/end", "POST /shifts/mine/end", "POST /shifts/{shift_id}/positions", "GET /duty",
    "POST /phones", "POST /phones/{phone_id}/revoke", "GET /tasks", "GET /tasks/{task_id}",
    "GET /tasks/{task_id}/events",
    "POST /tasks/self", "POST /tasks/{task_id}/seen", "POST /tasks/{task_id}/transitions",
    "GET /tasks/{task_id}/messages", "POST /tasks/{task_id}/messages", "POST /tasks/{task_id}/support-requests",
    "POST /panic", "GET /notices", "GET /notices/{notice_id}", "POST /notices/{notice_id}/seen",
    "POST /notices/{notice_id}/acknowledge", "POST /notices/{notice_id}/reply", "POST /violations", "GET /violations",
    "POST /stop-forms", "GET /stop-forms", "GET /stop-forms/{form_id}", "POST /attachments", "GET /attachments",
    "GET /attachments/{attachment_id}", "PUT /attachments/{attachment_id}/content",
    "POST /attachments/{attachment_id}/complete", "GET /attachments/{attachment_id}/screen",
    "GET /attachments/{attachment_id}/original", "POST /positions",
)  # fmt: skip
"""Operations of `/api/v1` for officers' apps; `POST /positions` is for a device of its own, with its key."""
