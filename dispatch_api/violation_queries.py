"""What every question about violations may narrow: `bbox`, `from`, `to`, `category` (may be repeated)."""

from typing import Annotated

from fastapi import Depends, Query

from core.db import utcnow
from dispatch_api.deps import OptionalBbox
from geo.violations import Filter
from mobile_contract.fields import Line, Moment

Since = Annotated[Moment | None, Query(alias="from")]
Until = Annotated[Moment | None, Query(alias="to")]
Categories = Annotated[list[Line] | None, Query(max_length=50)]


async def _wanted(bbox: OptionalBbox, since: Since = None, until: Until = None, category: Categories = None) -> Filter:
    box = (bbox.min_lon, bbox.min_lat, bbox.max_lon, bbox.max_lat) if bbox else None
    return Filter(box, since, until, tuple(category or ())).check(utcnow())


Wanted = Annotated[Filter, Depends(_wanted)]
