"""Types of fields that come from outside: bounded, finite, aware, free of NUL and lone surrogates."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer


def _clean(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not hold NUL")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("must not hold lone surrogates") from error
    return text


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("must have an offset from UTC")
    if not 1970 <= moment.year <= 2200:
        raise ValueError("must lie between 1970 and 2200")
    return moment.astimezone(UTC)


ISO_8601 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")
"""How text must begin to be a moment; a bare number would be taken for seconds since 1970."""


def _iso_only(value: object) -> object:
    if isinstance(value, datetime) or (isinstance(value, str) and ISO_8601.match(value)):
        return value
    raise ValueError("must be text in ISO 8601 with an offset")


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("must say something")
    return text


LEAST = 1.17549435e-38
"""The least positive number of single precision with all its digits."""


def _single(number: float) -> float:
    """0 for what single precision, in which measurements are stored, has no number for: PostgreSQL refuses those."""
    return 0.0 if number < LEAST else number


def utc_text(moment: datetime) -> str:
    """A moment as every answer writes it: UTC, milliseconds, Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Line = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_clean)]
OptionalLine = Annotated[str, Field(max_length=200), AfterValidator(_clean)]
Reason = Annotated[Line, AfterValidator(_said)]
"""Why somebody did it, for others to read: not blank."""
Plate = Annotated[Line, Field(max_length=20)]
Body = Annotated[str, Field(max_length=10_000), AfterValidator(_clean)]
Document = Annotated[str, Field(max_length=200_000), AfterValidator(_clean)]
Code = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
Moment = Annotated[datetime, BeforeValidator(_iso_only), AfterValidator(_aware)]
MomentOut = Annotated[datetime, PlainSerializer(utc_text, return_type=str, when_used="json")]
Lon = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
Lat = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
AccuracyM = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False), AfterValidator(_single)]
Money = Annotated[float, Field(ge=0, le=999_999_999_999, allow_inf_nan=False)]
Quantity = Annotated[float, Field(ge=0, le=9_999_999_999_999, allow_inf_nan=False)]
Version = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Edge(BaseModel):
    """A request body of people's routes: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)


class Out(BaseModel):
    """An answer, made from a row or another object's attributes."""

    model_config = ConfigDict(from_attributes=True)
