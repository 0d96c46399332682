"""Roles that wait for a second administrator."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response

from core import people, role_grants
from core.actor import May
from core.models import RoleGrant
from core.role_grants import Outcome
from core.settings import Settings
from core.work import Work
from dispatch_api.deps import After, GetState, Limit, working
from dispatch_api.idempotent import Once, once
from dispatch_api.paging import Page, id_after
from mobile_contract.fields import MomentOut, Out

router = APIRouter(tags=["people"])
Deciding = Annotated[Work, working(May.WRITE_PEOPLE)]


class RoleGrantOut(Out):
    """Roles proposed for a person, by whom, and what became of it; null while it waits."""

    id: UUID
    user_id: UUID
    login: str
    name: str
    roles: list[str]
    proposed_by: UUID
    proposed_by_name: str
    proposed_at: MomentOut
    decided_by: UUID | None
    decided_at: MomentOut | None
    outcome: Outcome | None
    lapses_at: MomentOut | None


def _out(row: dict[str, Any], settings: Settings) -> RoleGrantOut:
    lapses_at = None if row["outcome"] else row["proposed_at"] + timedelta(days=settings.four_eyes_days)
    return RoleGrantOut(**row, lapses_at=lapses_at)


async def _shown(work: Work, grant: RoleGrant, settings: Settings) -> RoleGrantOut:
    return _out(await role_grants.resource(work, grant), settings)


@router.get("/role-grants", response_model=Page[RoleGrantOut])
async def listed(
    work: Annotated[Work, working(May.READ_PEOPLE)], state: GetState, limit: Limit = 100, after: After = None
) -> Any:
    """Proposals that wait, oldest first; each lapses when nobody decides."""
    page, following = await role_grants.listed(work, limit, id_after(after))
    return {"items": [_out(row, state.settings) for row in page], "next": following and str(following)}


@router.post("/role-grants/{grant_id}/grant", response_model=RoleGrantOut)
async def grant(grant_id: UUID, response: Response, work: Deciding, state: GetState, body: Once | None = None) -> Any:
    """Give the person these roles: by another administrator than who proposed them and who gets them."""
    body = body or Once()

    async def effect() -> RoleGrantOut:
        return await _shown(work, await people.grant_roles(work, grant_id), state.settings)

    return await once(work, response, f"role_grants.grant:{grant_id}", body.id, body, effect)


@router.post("/role-grants/{grant_id}/refuse", response_model=RoleGrantOut)
async def refuse(grant_id: UUID, response: Response, work: Deciding, state: GetState, body: Once | None = None) -> Any:
    """Refuse a proposal, or withdraw one's own."""
    body = body or Once()

    async def effect() -> RoleGrantOut:
        return await _shown(work, await people.refuse_roles(work, grant_id), state.settings)

    return await once(work, response, f"role_grants.refuse:{grant_id}", body.id, body, effect)
