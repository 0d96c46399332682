"""Writes that carry a client-made id: once done, the same request gets the same answer and changes nothing."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from fastapi import Response
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel
from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from core.errors import IdReused
from core.models import ClientWrite
from core.work import Work
from mobile_contract.fields import Edge


class Once(Edge):
    """A write that is done once, however often it is sent with the same `id`."""

    id: UUID | None = None


def body_digest(body: BaseModel) -> bytes:
    """What makes two bodies equal: the parsed model with the fields that were sent."""
    sent = body.model_dump(mode="json", exclude_unset=True)
    return hashlib.sha256(json.dumps(sent, sort_keys=True).encode()).digest()


async def once(
    work: Work,
    response: Response,
    route: str,
    client_id: UUID | None,
    body: BaseModel,
    effect: Callable[[], Awaitable[Any]],
    *,
    status: int = 200,
) -> Any:
    """The answer of `effect()`, or the first answer again when `client_id` was used before with an equal body.

    `route` names the operation with the object it acts on. A second request that runs at the same time waits for
    the first one's commit. Raises IdReused for another body, route or person.
    """
    response.status_code = status
    if client_id is None:
        return jsonable_encoder(await effect())
    digest, owner = body_digest(body), work.actor.id
    claim = insert(ClientWrite).values(
        id=client_id, user_id=owner, route=route, body_digest=digest, status=status, at=work.now
    )
    fresh = await work.session.execute(claim.on_conflict_do_nothing().returning(col(ClientWrite.id)))
    if fresh.first() is None:
        first = await work.session.get(ClientWrite, client_id)  # row-level security hides another person's
        if first is None or (first.route, first.body_digest) != (route, digest):
            raise IdReused
        response.headers["Idempotency-Replayed"] = "true"
        response.status_code = first.status
        return first.answer
    answer = jsonable_encoder(await effect())
    await work.session.execute(update(ClientWrite).where(col(ClientWrite.id) == client_id).values(answer=answer))
    return answer
