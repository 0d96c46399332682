"""Offices and the people who may sign in."""

from typing import Any
from uuid import UUID

from geoalchemy2.shape import from_shape
from shapely import MultiPolygon, force_2d
from shapely.errors import ShapelyError
from shapely.geometry import shape
from shapely.validation import explain_validity
from sqlalchemy import delete
from sqlmodel import col, select

from core import passwords, role_grants
from core.actor import Role
from core.audit import Action
from core.bus import AccessChanged
from core.errors import Invalid, NotAllowed, NotFound, TransitionNotAllowed, VersionConflict
from core.ids import new_id
from core.last_change import changed_last
from core.models import Credential, Office, RoleGrant, SignIn, UserAccount
from core.work import Work

FORBIDDEN_TOGETHER = (
    frozenset({Role.ADMINISTRATOR, Role.AUDITOR}),
    frozenset({Role.ADMINISTRATOR, Role.INTERNAL_AFFAIRS}),
)
"""Pairs of roles no one person may have (domain.md 3.1)."""
MIN_PASSWORD = 12
MAX_VERTICES = 1_000
CHANGEABLE = ("name", "roles", "office_id", "badge_no", "email", "phone")


def check_roles(roles: list[str]) -> list[str]:
    """The roles, each once, in order; raises Invalid for an unknown one or a forbidden pair."""
    try:
        known = {Role(role) for role in roles}
    except ValueError as error:
        raise Invalid.at("roles", "unknown", f"There is no such role; the roles are {', '.join(Role)}.") from error
    if not known:
        raise Invalid.at("roles", "empty", "A person needs at least one role.")
    for pair in FORBIDDEN_TOGETHER:
        if pair <= known:
            raise Invalid.at("roles", "combination", f"One person may not be both {' and '.join(sorted(pair))}.")
    return sorted(known)


def check_password(password: str) -> str:
    """The password; raises Invalid when it is too short to be worth hashing."""
    if len(password) < MIN_PASSWORD:
        raise Invalid.at("password", "too_short", f"A password has at least {MIN_PASSWORD} characters.")
    return password


async def create_user(
    work: Work,
    *,
    login: str,
    name: str,
    roles: list[str],
    four_eyes: bool,
    password: str | None = None,
    office_id: UUID | None = None,
    badge_no: str | None = None,
    email: str | None = None,
    phone: str | None = None,
    user_id: UUID | None = None,
) -> tuple[UserAccount, str | None]:
    """A new person, and their one-time password when none was given.

    `four_eyes`: whether their roles wait for a second administrator, once there are two (core/role_grants.py).
    Raises Invalid, IdReused, or Conflict for a login in use.
    """
    await _check_office(work, office_id)
    given = check_password(password) if password is not None else None
    wanted = check_roles(roles)
    user = UserAccount(
        id=user_id or new_id(), login=login.strip().lower(), name=name, roles=[], office_id=office_id,
        badge_no=badge_no, email=email, phone=phone,
    )  # fmt: skip
    await work.add(user, taken="Another person has this login.")
    await role_grants.settle(work, user, wanted, four_eyes=four_eyes)
    made = given or passwords.one_time()
    async with work.elevated():
        hashed = await passwords.hashed(made)
        work.session.add(Credential(user_id=user.id, password_hash=hashed, must_change=given is None))
    work.audit(Action.COLLECTION, "user", user.id, login=user.login, roles=user.roles)
    return user, None if given else made


async def _check_office(work: Work, office_id: UUID | None) -> None:
    if office_id and await work.session.get(Office, office_id) is None:
        raise Invalid.at("office_id", "unknown", "There is no such office.")


async def get_user(work: Work, user_id: UUID, *, lock: bool = False) -> UserAccount:
    """The person; raises NotFound."""
    query = select(UserAccount).where(UserAccount.id == user_id)
    user: UserAccount | None = await work.first(query.with_for_update(key_share=True) if lock else query)
    if user is None:
        raise NotFound
    return user


async def read_user(work: Work, user_id: UUID) -> UserAccount:
    """The person, to be shown; the look is written down. Raises NotFound."""
    user = await get_user(work, user_id)
    work.audit(Action.CONSULTATION, "user", user_id)
    return user


async def list_users(work: Work, limit: int, after: str | None) -> tuple[list[UserAccount], str | None]:
    """A page of people by login; and where the next page starts."""
    query = select(UserAccount).order_by(UserAccount.login).limit(limit + 1)
    rows = await work.all(query.where(UserAccount.login > after) if after else query)
    work.audit(Action.CONSULTATION, "user", None, n=len(rows[:limit]))
    return rows[:limit], rows[limit - 1].login if len(rows) > limit else None


async def change_user(
    work: Work, user_id: UUID, values: dict[str, Any], version: int | None, *, four_eyes: bool
) -> UserAccount:
    """The person with new values; a change of roles ends their sessions. For `four_eyes` see `create_user`.

    Raises NotFound, VersionConflict, Invalid, LastAdministrators, and NotAllowed for one's own roles.
    """
    if "roles" in values:
        await role_grants.one_at_a_time(work)
    user = await get_user(work, user_id, lock=True)
    if version is not None and version != user.version:
        changed_by = await changed_last(work, "user", user_id, (*CHANGEABLE, "disabled"))
        raise VersionConflict(current_version=user.version, changed_by=changed_by)
    await _check_office(work, values.get("office_id"))
    before = list(user.roles)
    if user.id == work.actor.user_id and set(values.get("roles", before)) != set(before):
        raise NotAllowed("Nobody changes their own roles.")
    changed = {name: value for name, value in values.items() if name in CHANGEABLE}
    for name in changed.keys() - {"roles"}:
        setattr(user, name, changed[name])
    if "roles" in changed:
        await role_grants.settle(work, user, check_roles(changed["roles"]), four_eyes=four_eyes)
        changed["roles"] = user.roles
    user.version, user.updated_at = user.version + 1, work.now
    await work.session.flush()
    if user.roles != before:
        await end_sessions(work, user_id)
    work.audit(Action.ALTERATION, "user", user.id, **changed)
    return user


async def disable_user(work: Work, user_id: UUID) -> UserAccount:
    """The person cannot sign in any more and every session of theirs has ended; twice changes nothing."""
    await role_grants.one_at_a_time(work)
    user = await get_user(work, user_id, lock=True)
    if user.disabled_at is None:
        user.disabled_at = user.updated_at = work.now
        user.version += 1
        await role_grants.lapse(work, user_id)
        await end_sessions(work, user_id)
        work.audit(Action.ALTERATION, "user", user.id, disabled=True)
    return user


async def reset_password(work: Work, user_id: UUID) -> tuple[UserAccount, str]:
    """The person, and a one-time password in place of the one they forgot; their sessions end.

    Raises NotFound, TransitionNotAllowed for a person who is disabled, and NotAllowed for an administrator's, unless at
    the machine: whoever knows another's password could be the second pair of eyes themselves.
    """
    made = passwords.one_time()
    hashed = await passwords.hashed(made)
    user = await get_user(work, user_id, lock=True)
    if user.disabled_at:
        raise TransitionNotAllowed("This person is disabled.")
    if work.actor.user_id and Role.ADMINISTRATOR in user.roles:
        raise NotAllowed("An administrator's password is reset at the machine alone: outrider reset-password.")
    async with work.elevated():
        credential = await work.session.get(Credential, user_id) or Credential(user_id=user_id, password_hash=hashed)
        credential.password_hash, credential.must_change, credential.changed_at = hashed, True, work.now
        work.session.add(credential)
    await end_sessions(work, user_id)
    work.audit(Action.ALTERATION, "user", user_id, password_reset=True)
    return user, made


async def grant_roles(work: Work, grant_id: UUID) -> RoleGrant:
    """The proposal, granted: the person has its roles too, and their sessions have ended; twice changes nothing.

    Raises what `role_grants.decide` does, TransitionNotAllowed for a person who is disabled, and Invalid for roles
    that do not go together.
    """
    grant, is_new = await role_grants.decide(work, grant_id, granted=True)
    if is_new:
        user = await get_user(work, grant.user_id, lock=True)
        if user.disabled_at:
            raise TransitionNotAllowed("This person is disabled.")
        user.roles = check_roles([*user.roles, *grant.roles])
        user.version, user.updated_at = user.version + 1, work.now
        await end_sessions(work, user.id)
        work.audit(Action.ALTERATION, "user", user.id, roles=user.roles)
    return grant


async def refuse_roles(work: Work, grant_id: UUID) -> RoleGrant:
    """The proposal, refused, or withdrawn by who made it; twice changes nothing. Raises what `decide` does."""
    grant, _ = await role_grants.decide(work, grant_id, granted=False)
    return grant


async def end_sessions(work: Work, user_id: UUID, *, but: UUID | None = None) -> None:
    """End a person's sessions, and the sockets they opened; `but` keeps one."""
    query = delete(SignIn).where(col(SignIn.user_id) == user_id)
    await work.session.execute(query.where(col(SignIn.id) != but) if but else query)
    work.publish(AccessChanged, user_id)


def boundary_of(geometry: dict[str, Any] | None) -> Any:
    """A column value for a GeoJSON Polygon or MultiPolygon; raises Invalid when it is none, not valid, or too large."""
    if geometry is None:
        return None
    try:
        area = force_2d(shape(geometry))
    except (ShapelyError, ArithmeticError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise Invalid.at("boundary", "geometry", "This is not a GeoJSON polygon.") from error
    if area.geom_type == "Polygon":
        area = MultiPolygon([area])
    if area.geom_type != "MultiPolygon" or area.is_empty:
        raise Invalid.at("boundary", "geometry", "A boundary is a Polygon or a MultiPolygon.")
    if sum(len(ring.coords) for part in area.geoms for ring in (part.exterior, *part.interiors)) > MAX_VERTICES:
        raise Invalid.at("boundary", "too_large", f"A boundary has at most {MAX_VERTICES} vertices.")
    west, south, east, north = area.bounds
    if not (west >= -180 and south >= -90 and east <= 180 and north <= 90):
        raise Invalid.at("boundary", "range", "Degrees lie within ±180 and ±90.")
    if not area.is_valid:
        raise Invalid.at("boundary", "geometry", f"The boundary is not valid: {explain_validity(area)}")
    return from_shape(area, srid=4326)


async def create_office(
    work: Work, code: str, name: str, boundary: dict[str, Any] | None, office_id: UUID | None = None
) -> Office:
    """A new office; raises Invalid, IdReused, or Conflict for a code in use."""
    office = Office(id=office_id or new_id(), code=code, name=name, boundary=boundary_of(boundary))
    await work.add(office, taken="Another office has this code.")
    work.audit(Action.COLLECTION, "office", office.id, code=code)
    return office


async def list_offices(work: Work, limit: int, after: str | None) -> tuple[list[Office], str | None]:
    """A page of offices by code; and where the next page starts."""
    query = select(Office).order_by(Office.code).limit(limit + 1)
    rows = await work.all(query.where(Office.code > after) if after else query)
    return rows[:limit], rows[limit - 1].code if len(rows) > limit else None
