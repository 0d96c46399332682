"""Files of violations, read row by row: CSV and GeoJSON in, checked rows and refused lines out. No database."""

import csv
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import msgspec
from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import Malformed, TooLarge
from mobile_contract.fields import AccuracyM, Body, Lat, Line, Lon, Moment, Money, OptionalLine, Quantity

CSV, GEOJSON = "text/csv", "application/geo+json"
MAX_GEOJSON = 64 * 2**20
"""GeoJSON is held in memory while it is read; larger sets come as CSV."""
MAX_LINE = 2**20
NEEDED = ("category", "occurred_at", "lat", "lon")

CoordSource = Literal["gps", "map", "address", "office", "import"]


class Row(BaseModel):
    """One violation of a file, by the names of the interface."""

    model_config = ConfigDict(extra="ignore")

    id: OptionalLine | None = None
    category: Line
    occurred_at: Moment
    lat: Lat
    lon: Lon
    accuracy_m: AccuracyM | None = None
    coord_source: CoordSource = "import"
    method: Line | None = None
    goods_category: Line | None = None
    quantity: Quantity | None = None
    evaded_duties_eur: Money | None = None
    note: Body | None = None
    task_id: UUID | None = None


KNOWN = frozenset(Row.model_fields)
_NUMBERS = ("lat", "lon", "accuracy_m", "quantity", "evaded_duties_eur")
_CODES = {"lat": "lat", "lon": "lon", "occurred_at": "time"} | dict.fromkeys(_NUMBERS[2:], "number")


@dataclass(frozen=True)
class Good:
    """A row to store. `key` is what makes it the same violation when the file comes again, if it has no id."""

    line: int
    row: Row
    key: UUID | None


@dataclass(frozen=True)
class Refused:
    """A row that is not stored, and why: code `lat, lon, time, number, field, nul` or `columns`."""

    line: int
    code: str
    detail: str


class Rows:
    """The rows of one file in order: iterate over it once; `ignored` and `done` (0 to 1) grow while it is read."""

    def __init__(self, source: str) -> None:
        self.ignored: dict[str, None] = {}
        self.done = 0.0
        self._source = source
        self._seen: Counter[bytes] = Counter()

    def __iter__(self) -> Iterator[Good | Refused]:
        """Each row, good or refused."""
        raise TypeError("a file of a known kind must be opened")

    def close(self) -> None:
        """Let go of the file."""

    def _checked(self, line: int, values: dict[str, Any]) -> Good | Refused:
        try:
            row = Row.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            name = str(first["loc"][0])
            return Refused(line, _CODES.get(name, "field"), f"{name}: {first['msg']}")
        return Good(line, row, None if row.id else self._key(row))

    def _key(self, row: Row) -> UUID:
        """The n-th of several equal rows has the n-th key: the file again adds nothing, the file itself loses none."""
        content = hashlib.sha256(f"{self._source}\n{row.model_dump_json()}".encode()).digest()[:12]
        self._seen[content] += 1
        bits = int.from_bytes(hashlib.sha256(content + str(self._seen[content]).encode()).digest()[:16], "big")
        return UUID(int=bits & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62)  # version 8, RFC 9562 5.8


class CsvRows(Rows):
    """Rows of a CSV file in UTF-8: comma, semicolon (then with decimal commas too) or tab, quoted as RFC 4180 says."""

    def __init__(self, file: Path, source: str) -> None:
        """Read the header; raises Malformed when it lacks a column or names one twice."""
        super().__init__(source)
        self._file = file.open("rb")
        self._size = max(file.stat().st_size, 1)
        first = self._file.readline(MAX_LINE).decode("utf-8-sig", "replace")
        self._delimiter = max(",;\t", key=first.count)
        self._reader = csv.reader(chain([first], self._lines()), delimiter=self._delimiter)
        try:
            self._header = [name.strip() for name in next(self._reader, [])]
        except csv.Error as error:
            raise Malformed(f"The header cannot be read: {error}") from error
        if missing := set(NEEDED) - set(self._header):
            raise Malformed(f"The header lacks {', '.join(sorted(missing))}.")
        known = [name for name in self._header if name in KNOWN]
        if len(known) != len(set(known)):
            raise Malformed("The header names a column twice.")
        self.ignored = {name: None for name in self._header if name not in KNOWN}

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _lines(self) -> Iterator[str]:
        while raw := self._file.readline(MAX_LINE):
            yield raw.decode("utf-8", "replace")

    def __iter__(self) -> Iterator[Good | Refused]:
        """Each row; `line` is the line of the file on which it begins."""
        while True:
            line = self._reader.line_num + 1
            try:
                cells = next(self._reader, None)
            except csv.Error as error:
                yield Refused(line, "columns", str(error))
                continue
            if cells is None:
                return
            self.done = self._file.tell() / self._size
            if cells:
                yield self._parsed(line, cells)

    def _parsed(self, line: int, cells: list[str]) -> Good | Refused:
        if len(cells) != len(self._header):
            return Refused(line, "columns", f"{len(cells)} cells where the header has {len(self._header)}")
        if any("\x00" in cell for cell in cells):
            return Refused(line, "nul", "must not hold NUL")
        values = {name: text for name, cell in zip(self._header, cells, strict=True) if (text := cell.strip())}
        if self._delimiter == ";":
            values |= {name: values[name].replace(",", ".") for name in _NUMBERS if name in values}
        return self._checked(line, values)


class _Collection(msgspec.Struct):
    type: Literal["FeatureCollection"]
    features: list[msgspec.Raw]


class _Point(msgspec.Struct):
    type: Literal["Point"]
    coordinates: list[Any]


class _Feature(msgspec.Struct):
    geometry: _Point
    properties: dict[str, Any] | None = None
    id: str | int | None = None


class GeoJsonRows(Rows):
    """Rows of a GeoJSON FeatureCollection of points; properties by the names of the interface."""

    def __init__(self, file: Path, source: str) -> None:
        """Read the file; raises TooLarge over MAX_GEOJSON and Malformed when it is no FeatureCollection."""
        super().__init__(source)
        if file.stat().st_size > MAX_GEOJSON:
            raise TooLarge("GeoJSON may be 64 MiB large; send more as CSV.")
        try:
            self._features = msgspec.json.decode(file.read_bytes(), type=_Collection).features
        except (msgspec.MsgspecError, RecursionError) as error:
            raise Malformed("The body is not a GeoJSON FeatureCollection.") from error

    def __iter__(self) -> Iterator[Good | Refused]:
        """Each feature; `line` is its number, the first being 1."""
        for number, raw in enumerate(self._features, 1):
            self.done = number / len(self._features)
            try:
                feature = msgspec.json.decode(raw, type=_Feature)
            except (msgspec.MsgspecError, RecursionError) as error:
                yield Refused(number, "field", str(error)[:200])
                continue
            yield self._parsed(number, feature)

    def _parsed(self, number: int, feature: _Feature) -> Good | Refused:
        values = {name: value for name, value in (feature.properties or {}).items() if value is not None}
        self.ignored |= {name: None for name in values if name not in KNOWN}
        if feature.id is not None:
            values["id"] = feature.id
        if "id" in values:
            values["id"] = str(values["id"])
        if len(feature.geometry.coordinates) not in {2, 3}:
            return Refused(number, "field", "geometry: a point has two or three coordinates")
        values["lon"], values["lat"] = feature.geometry.coordinates[:2]
        return self._checked(number, values)


def open_rows(file: Path, media_type: str, source: str) -> Rows:
    """The rows of a file of one of the two media types; raises Malformed or TooLarge. Close it afterwards."""
    return CsvRows(file, source) if media_type == CSV else GeoJsonRows(file, source)
