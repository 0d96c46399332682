"""The shape of every list: items, and where the next page starts."""

from typing import Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel

from core.errors import Malformed

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """`next` goes into `?after=` to fetch what follows; null at the end."""

    items: list[Item]
    next: str | None = None


def id_after(after: str | None) -> UUID | None:
    """The id a page starts after; raises Malformed."""
    try:
        return UUID(after) if after else None
    except ValueError as error:
        raise Malformed("after must be the `next` of an earlier page") from error
