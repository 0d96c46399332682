"""Signing in, and installations of the officers' app: enrolled once, opened by a PIN for 12 hours, shut out for ever.

`POST /installs` with a session by password enrols (one by PIN does not: 403); `POST /session {install_id, credential,
pin}` opens sessions from then on. 401 `install_revoked` (also with a token of the installation's last session) means:
wipe what is stored here. 401 `pin_locked`: too many wrong PINs; sign in with the password and set one by
`POST /installs/{id}/pin`.

A session by password may need a second factor. 401 `code_needed`: the `code` of the person's authenticator app is to
come with login and password; `bad_code`: it is wrong or was used before; `code_unset`: the person must set one up
first, by `POST /session/factor`, whose `secret` goes into the app, then `POST /session` with the app's first code. An
installation with its PIN is never asked for one.

What is stored on the device is encrypted with a key of two halves: what the PIN gives, and `offline_key`, which the
server gives at each sign-in and holds no longer once the installation is revoked. The device keeps its half in memory,
or under a key that cannot be exported, until `offline_until`; then it asks for a sign-in before it opens the store.
"""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, model_validator

from mobile_contract.fields import Body, Document, Edge, Line, Moment, MomentOut, OptionalLine, Out

Pin = Annotated[str, Field(pattern=r"^[0-9]{4,12}$")]
FactorCode = Annotated[str, Field(pattern=r"^[0-9]{6}$")]
CHANNELS = {"fcm": ("fid", "token"), "webpush": ("endpoint",)}
"""Kinds of target by channel."""


class SessionIn(Edge):
    """Login and password, with the code of a second factor; or an installation's id and credential with its PIN."""

    login: Line | None = None
    password: OptionalLine | None = None
    code: FactorCode | None = None
    install_id: UUID | None = None
    credential: OptionalLine | None = None
    pin: OptionalLine | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "SessionIn":
        by_password = self.login is not None and self.password is not None
        by_install = self.install_id is not None and self.credential is not None and self.pin is not None
        if by_password == by_install:
            raise ValueError("give login and password, or install_id, credential and pin")
        if by_install and self.code is not None:
            raise ValueError("a code comes with a password; an installation has its pin")
        return self


class FactorIn(Edge):
    """Whose second factor is to be set up."""

    login: Line
    password: OptionalLine


class FactorOut(Out):
    """What an authenticator app is set up with, shown this once: by hand, or by the code with `uri` drawn in SVG."""

    secret: str
    uri: str
    uri_svg: str


class UserBrief(Out):
    """A person, shortly."""

    id: UUID
    login: str
    name: str
    roles: list[str]


class OfflineKey(Out):
    """The server's half of the key of what is stored on the device: 32 bytes in base64url, the same each time."""

    offline_key: str
    offline_until: MomentOut


class SessionOut(Out):
    """A new session; the token goes into `Authorization: Bearer`. `offline` comes with a session by PIN."""

    token: str
    expires_at: MomentOut
    user: UserBrief
    offline: OfflineKey | None = None


class MeOut(UserBrief):
    """The signed-in person, their unit and shift of now, and what their roles give.

    `must_change_password`: they signed in with a one-time password, which whoever made the account knows as well.
    """

    office_id: UUID | None
    unit_id: UUID | None
    shift_id: UUID | None
    has_factor: bool
    must_change_password: bool
    csrf_token: str
    permissions: list[str]


class PasswordIn(Edge):
    """The old password and the new one."""

    old: OptionalLine
    new: Annotated[OptionalLine, Field(min_length=1)]


class TicketOut(Out):
    """A ticket for one socket."""

    ticket: str
    expires_at: MomentOut


class PushKeys(Edge):
    """What a browser's subscription seals its pushes with, as `PushSubscription.toJSON()` has it."""

    p256dh: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{87}$")]
    auth: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{22}$")]


class PushTarget(Edge):
    """Where a content-free wake-up may be sent; `keys` come with an endpoint of Web Push, and with nothing else.

    An endpoint is taken only of a push service that this server may call. It wakes one installation, the last that
    named it; of one person's installations the ten used last are woken.
    """

    channel: Literal["fcm", "webpush"]
    target: Annotated[Body, Field(min_length=1, max_length=4_000)]
    target_kind: Line
    keys: PushKeys | None = None

    @model_validator(mode="after")
    def _kind(self) -> "PushTarget":
        if self.target_kind not in CHANNELS[self.channel]:
            raise ValueError(f"target_kind must be one of {', '.join(CHANNELS[self.channel])}")
        if (self.keys is None) == (self.channel == "webpush"):
            raise ValueError("keys come with the channel webpush, and with no other")
        return self


class InstallIn(Edge):
    """An installation to enrol: its own id, a name, and the PIN that will open sessions with it."""

    id: UUID
    name: Line
    pin: Pin | None = None
    push: PushTarget | None = None


class InstallOut(Out):
    """The installation's credential, answered once."""

    id: UUID
    credential: str


class PinIn(Edge):
    """A new PIN for the installation. In a session that a PIN opened it comes with the `old` one.

    Without it: 422 with the field `old` and its code `required`; `wrong` counts like a wrong PIN at a sign-in.
    """

    pin: Pin
    old: OptionalLine | None = None


class PushIn(Edge):
    """Where the installation is woken from now on; null: nowhere."""

    push: PushTarget | None


class ContactIn(Edge):
    """An installation asks whether it is shut out: 401 `install_revoked` if so, with `recovery` as at a sign-in."""

    credential: OptionalLine


class RevokeIn(Edge):
    """Shut an installation out. With `recover` it may hand over, once, what it had not sent (RecoveryIn)."""

    id: UUID | None = None
    recover: bool = False


class QueuedRecord(Edge):
    """Something that was not sent: the request it would have been, its body as text."""

    id: UUID | None = None
    method: Literal["POST", "PUT", "PATCH", "DELETE"]
    path: Line
    at: Moment | None = None
    body: Document


class RecoveryIn(Edge):
    """What a revoked installation had not sent, as it stands in its outbox; taken once, when it was allowed."""

    credential: OptionalLine
    records: Annotated[list[QueuedRecord], Field(min_length=1, max_length=1_000)]


class RecoveryOut(Out):
    """It is kept, apart from everything else."""

    received_at: MomentOut


class Recovery(RecoveryOut):
    """What it handed over, for people to read."""

    install_id: UUID
    records: list[QueuedRecord]


class Install(Out):
    """An installation as its owner and administrators see it; `expires_at` moves on with each sign-in."""

    id: UUID
    user_id: UUID
    login: str
    user_name: str
    name: str
    has_pin: bool
    pin_locked: bool
    push_channel: str | None
    created_at: MomentOut
    used_at: MomentOut
    expires_at: MomentOut
    revoked_at: MomentOut | None
    recovery: Literal["none", "allowed", "received"]


class WebPushConfig(Out):
    """The `applicationServerKey` of `PushManager.subscribe()`."""

    public_key: str


class PushConfig(Out):
    """What the app needs to ask for a push target; null when this server sends no push by that channel."""

    fcm: dict[str, str] | None
    webpush: WebPushConfig | None


class PushPayload(Out):
    """All that a push holds: look into the inbox. Nothing of what is there, and of nobody."""

    kind: Literal["inbox"]
    v: Literal["1"]
