"""People: made and changed by administrators."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field

from core import factors, people, role_grants
from core.actor import May, Role
from core.models import UserAccount
from core.work import Work
from dispatch_api.deps import After, GetState, Limit, working
from dispatch_api.idempotent import Once, once
from dispatch_api.paging import Page
from mobile_contract.fields import Edge, Line, MomentOut, OptionalLine, Out, Version

router = APIRouter(tags=["people"])
Writing = Annotated[Work, working(May.WRITE_PEOPLE)]
Reading = Annotated[Work, working(May.READ_PEOPLE)]
Login = Annotated[str, Field(min_length=2, max_length=64, pattern=r"^[A-Za-z0-9._@-]+$")]
Password = Annotated[OptionalLine, Field(min_length=people.MIN_PASSWORD)]
Email = Annotated[str, Field(max_length=200, pattern=r"^[^@\s\x00]+@[^@\s\x00]+$")]
Phone = Annotated[str, Field(max_length=40, pattern=r"^\+?[0-9 ()-]+$")]
Roles = Annotated[list[Role], Field(min_length=1, max_length=len(Role))]


class UserIn(Edge):
    """A person to make; without a password a one-time password is answered once."""

    id: UUID | None = None
    login: Login
    name: Line
    password: Password | None = None
    roles: Roles
    office_id: UUID | None = None
    badge_no: Line | None = None
    email: Email | None = None
    phone: Phone | None = None


class UserChange(Edge):
    """What to change of a person; `version` refuses the change when somebody was first."""

    version: Version | None = None
    name: Line | None = None
    roles: Roles | None = None
    office_id: UUID | None = None
    badge_no: Line | None = None
    email: Email | None = None
    phone: Phone | None = None


class UserOut(Out):
    """A person: the roles they have, and those that wait for a second administrator."""

    id: UUID
    login: str
    name: str
    roles: list[str]
    roles_waiting: list[str] = []
    office_id: UUID | None
    badge_no: str | None
    email: str | None
    phone: str | None
    has_factor: bool
    disabled_at: MomentOut | None
    version: int


class UserMade(UserOut):
    """A person with the one-time password that was made for them, if any."""

    one_time_password: str | None = None


async def _shown(work: Work, *users: UserAccount) -> list[UserOut]:
    waiting = await role_grants.waiting(work, [user.id for user in users])
    shown = [UserOut.model_validate(user) for user in users]
    return [one.model_copy(update={"roles_waiting": waiting.get(one.id, [])}) for one in shown]


@router.post("/users", status_code=201, response_model=UserMade)
async def create(body: UserIn, response: Response, work: Writing, state: GetState) -> Any:
    """Make a person."""

    async def effect() -> UserMade:
        values = body.model_dump(exclude={"id"})
        user, one_time = await people.create_user(work, **values, user_id=body.id, four_eyes=state.settings.four_eyes)
        (shown,) = await _shown(work, user)
        return UserMade(**shown.model_dump(), one_time_password=one_time)

    return await once(work, response, "users.create", body.id, body, effect, status=201)


@router.get("/users", response_model=Page[UserOut])
async def listed(work: Reading, limit: Limit = 100, after: After = None) -> Any:
    """People, by login."""
    page, following = await people.list_users(work, limit, after)
    return {"items": await _shown(work, *page), "next": following}


@router.get("/users/{user_id}", response_model=UserOut)
async def one(user_id: UUID, work: Reading) -> Any:
    """One person."""
    (shown,) = await _shown(work, await people.read_user(work, user_id))
    return shown


@router.patch("/users/{user_id}", response_model=UserOut)
async def change(user_id: UUID, body: UserChange, work: Writing, state: GetState) -> Any:
    """Change a person; a change of roles ends their sessions. With four eyes more roles are only proposed."""
    values = body.model_dump(exclude_unset=True, exclude={"version"})
    values = {name: value for name, value in values.items() if value is not None or name not in {"name", "roles"}}
    user = await people.change_user(work, user_id, values, body.version, four_eyes=state.settings.four_eyes)
    (shown,) = await _shown(work, user)
    return shown


@router.post("/users/{user_id}/disable", response_model=UserOut)
async def disable(user_id: UUID, response: Response, work: Writing, body: Once | None = None) -> Any:
    """Shut a person out: their sessions and sockets end."""
    body = body or Once()

    async def effect() -> UserOut:
        (shown,) = await _shown(work, await people.disable_user(work, user_id))
        return shown

    return await once(work, response, f"users.disable:{user_id}", body.id, body, effect)


@router.post("/users/{user_id}/reset-password", response_model=UserMade)
async def reset_password(user_id: UUID, response: Response, work: Writing, body: Once | None = None) -> Any:
    """Give a person who forgot their password a one-time one, answered once: their sessions end."""
    body = body or Once()

    async def effect() -> UserMade:
        user, one_time = await people.reset_password(work, user_id)
        (shown,) = await _shown(work, user)
        return UserMade(**shown.model_dump(), one_time_password=one_time)

    return await once(work, response, f"users.reset_password:{user_id}", body.id, body, effect)


@router.post("/users/{user_id}/reset-factor", response_model=UserOut)
async def reset_factor(user_id: UUID, response: Response, work: Writing, body: Once | None = None) -> Any:
    """Take a person's second factor away, for a lost phone: they set up another, and their sessions end."""
    body = body or Once()

    async def effect() -> UserOut:
        (shown,) = await _shown(work, await factors.reset(work, user_id))
        return shown

    return await once(work, response, f"users.reset-factor:{user_id}", body.id, body, effect)
