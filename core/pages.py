"""Where a page of a list by time starts: the mark of the row before, given out as `next` and taken as `after`."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from core.errors import Malformed

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def mark(at: datetime, row_id: UUID) -> str:
    """The mark of a row."""
    return f"{(at - _EPOCH) // timedelta(microseconds=1)}.{row_id}"


def marked(after: str) -> tuple[datetime, UUID]:
    """Time and id of the row with this mark; raises Malformed."""
    try:
        moment, _, last = after.partition(".")
        return _EPOCH + timedelta(microseconds=int(moment)), UUID(last)
    except (ValueError, OverflowError) as error:
        raise Malformed("after must be the `next` of an earlier page") from error
