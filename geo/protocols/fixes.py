"""Our own JSON batches of fixes: bytes in, fixes and what was wrong with the others out."""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NoReturn

import msgspec

from core.errors import Invalid, Malformed, TooLarge
from geo.device_events import code_of
from geo.fix import Fix, Rejected

MAX_FIXES = 1_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_AHEAD = timedelta(days=400)
"""Times further ahead are no times at all; up to here they are kept and doubted."""


def _number(low: float, high: float) -> Any:
    return Annotated[float, msgspec.Meta(ge=low, le=high)] | None


_Lat = Annotated[float, msgspec.Meta(ge=-90, le=90)]
_Lon = Annotated[float, msgspec.Meta(ge=-180, le=180)]
_At = Annotated[datetime, msgspec.Meta(tz=True)]
_Text = Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\x00]*\Z")] | None
_Count = Annotated[int, msgspec.Meta(ge=0, le=255)] | None

FIELDS: dict[str, tuple[Any, str]] = {
    "fix_at": (_At, "time"),
    "lat": (_Lat, "lat"),
    "lon": (_Lon, "lon"),
    "accuracy_m": (_number(0, 1_000_000), "number"),
    "altitude_m": (_number(-12_000, 100_000), "number"),
    "speed_mps": (_number(0, 10_000), "number"),
    "heading_deg": (_number(0, 360), "number"),
    "satellites": (_Count, "number"),
    "battery_pct": (_number(0, 100), "number"),
    "event": (_Text, "field"),
}
"""Type and rejection code of each field; `fix_at`, `lat` and `lon` are required, anything else is ignored."""

REQUIRED = ("fix_at", "lat", "lon")
_Sent: Any = msgspec.defstruct(
    "Sent",
    [(name, kind) if name in REQUIRED else (name, kind, None) for name, (kind, _) in FIELDS.items()],
    bases=(Fix,),
    kw_only=True,
    gc=False,
)


class _Batch(msgspec.Struct):
    fixes: list[_Sent]


_decoder = msgspec.json.Decoder(_Batch)


def decode(body: bytes, now: datetime) -> tuple[list[Fix], list[Rejected]]:
    """The usable fixes of a batch, and the others with their index.

    Raises Malformed for what is not JSON, Invalid for JSON without a list `fixes`, TooLarge for over 1,000.
    """
    try:
        fixes: list[Fix] = _decoder.decode(body).fixes
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _one_by_one(body, now)
    if len(fixes) > MAX_FIXES:
        raise TooLarge(f"A batch holds at most {MAX_FIXES} fixes.")
    latest = now + MAX_AHEAD
    for fix in fixes:
        if not EPOCH <= fix.fix_at <= latest:
            return _one_by_one(body, now)
        if fix.event is not None:
            fix.event = code_of(fix.event)
    return fixes, []


def _one_by_one(body: bytes, now: datetime) -> tuple[list[Fix], list[Rejected]]:
    """The slow way, once something is wrong: each fix, and each of its fields, on its own."""
    usable: list[Fix] = []
    rejected: list[Rejected] = []
    for index, sent in enumerate(_items(parsed(body))):
        outcome = check(sent, now)
        if isinstance(outcome, Fix):
            usable.append(outcome)
        else:
            rejected.append(Rejected(index, *outcome))
    return usable, rejected


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def parsed(body: bytes) -> object:
    """The JSON value of a body; raises Malformed, also for bare NaN and for nesting without end."""
    try:
        return json.loads(body.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Malformed("The body is not JSON.") from error


def _items(parsed: object) -> list[object]:
    fixes = parsed.get("fixes") if isinstance(parsed, dict) else None
    if not isinstance(fixes, list):
        raise Invalid.at("fixes", "list", "The body must be an object with a list `fixes`.")
    if len(fixes) > MAX_FIXES:
        raise TooLarge(f"A batch holds at most {MAX_FIXES} fixes.")
    return fixes


def check(sent: object, now: datetime, *, lenient: bool = False) -> Fix | tuple[str, str]:
    """The fix an object's fields amount to, or the code and sentence of the first that is wrong.

    With `lenient` an optional field that is wrong counts as unknown: foreign trackers send all sorts of fillers.
    """
    if not isinstance(sent, dict):
        return "field", "A fix must be an object."
    values = {}
    for name, (kind, code) in FIELDS.items():
        if name not in sent and name not in REQUIRED:
            continue
        try:
            values[name] = msgspec.convert(sent.get(name), kind)
            if isinstance(values[name], str):
                values[name].encode()
        except (msgspec.ValidationError, UnicodeEncodeError, OverflowError):
            if lenient and name not in REQUIRED:
                values[name] = None
                continue
            return code, f"`{name}` is missing, of the wrong kind, or out of range."
    if not EPOCH <= values["fix_at"] <= now + MAX_AHEAD:
        return "time", "`fix_at` lies before 1970 or more than 400 days ahead."
    values["event"] = code_of(values.get("event"))
    return Fix(**values)
