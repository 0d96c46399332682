"""Files of tracks, read fix by fix: CSV, NMEA 0183 and GeoJSON here, GPX and KML in track_xml. No database."""

import csv
import re
from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import msgspec

from core.errors import Malformed, TooLarge
from geo.fix import Fix
from geo.protocols import gpslogger, nmea
from geo.protocols.foreign import Wrong, moment

MAX_LINE = 2**16
"""What a line has beyond is not read."""
MAX_GEOJSON = 64 * 2**20
"""GeoJSON is held in memory while it is read; longer tracks come in another format."""
_TIME_OF_DAY = re.compile(r"\d{1,2}:\d\d(:\d\d(\.\d+)?)?", re.ASCII)
Numbered = tuple[int, Fix | Wrong]
"""The number of the line (of GeoJSON: of the feature) a fix begins on, and the fix or what is wrong with it."""


class Rows:
    """The fixes of one file in order: iterate over it once; `done` (0 to 1) grows while it is read."""

    def __init__(self, file: Path, now: datetime) -> None:
        """Open it; what lies more than 400 days after `now` has a wrong time."""
        self.now = now
        self.file = file.open("rb")
        self._size = max(file.stat().st_size, 1)

    def __iter__(self) -> Iterator[Numbered]:
        """Each fix, and each line with one that cannot be used; raises Malformed for a file of another format."""
        raise TypeError("a file of a known format must be opened")

    @property
    def done(self) -> float:
        """How much of the file is read."""
        return self.file.tell() / self._size

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()

    def lines(self) -> Iterator[str]:
        """The file's lines as text, whatever its bytes."""
        start = self.file.read(3)
        if start != b"\xef\xbb\xbf":
            self.file.seek(0)
        while raw := self.file.readline(MAX_LINE):
            rest = raw
            while len(rest) == MAX_LINE and rest[-1:] != b"\n":
                rest = self.file.readline(MAX_LINE)
            yield raw.decode("utf-8", "replace")


class NmeaRows(Rows):
    """Moments of a receiver's log; days are what its sentences say, never today."""

    def __iter__(self) -> Iterator[Numbered]:
        """Each moment; `line` is that of its first sentence."""
        return iter(nmea.heard(enumerate(self.lines(), 1), self.now, nmea.Clock()))


class CsvRows(Rows):
    """Lines of a table with comma, semicolon (then with decimal commas too) or tab; columns under any usual name."""

    def __iter__(self) -> Iterator[Numbered]:
        """Each line below the heading; GPSLogger's files may lack theirs."""
        lines = self.lines()
        first = next(lines, "")
        delimiter = max(",;\t", key=first.count)
        reader = csv.reader(chain([first], lines), delimiter=delimiter)
        columns: tuple[str, ...] | None = None
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                yield line, ("field", str(error))
                continue
            if cells is None:
                return
            if columns is None:
                columns, is_heading = _columns(cells)
                if is_heading:
                    continue
            if any(cells):
                yield line, self._fix(dict(zip(columns, cells, strict=False)), delimiter == ";")

    def _fix(self, fields: dict[str, str], has_commas: bool) -> Fix | Wrong:
        if has_commas:
            fields = {name: value.replace(",", ".") for name, value in fields.items()}
        if "date" in fields and _TIME_OF_DAY.fullmatch(fields.get("time", "").strip()):
            fields["time"] = f"{fields['date'].strip()} {fields['time'].strip()}"
        return gpslogger.fix_of(fields, self.now)


def _columns(cells: list[str]) -> tuple[tuple[str, ...], bool]:
    """The names of the columns, and whether these cells are they; raises Malformed."""
    names = tuple(name.strip().lower() for name in cells)
    missing = [usual[0] for usual in (gpslogger.LAT, gpslogger.LON, gpslogger.TIME) if not set(usual) & set(names)]
    if not missing:
        return names, True
    if moment(cells[0] if cells else None) is None:
        raise Malformed(f"The heading lacks {', '.join(missing)}.")
    return gpslogger.COLUMNS, False


class _Collection(msgspec.Struct):
    type: Literal["FeatureCollection"]
    features: list[msgspec.Raw]


class _Geometry(msgspec.Struct):
    type: str
    coordinates: list[Any] | None = None


class _Feature(msgspec.Struct):
    geometry: _Geometry | None = None
    properties: dict[str, Any] | None = None


class GeoJsonRows(Rows):
    """Features of a collection: points with their time, lines with a time for each of their places."""

    def __iter__(self) -> Iterator[Numbered]:
        """Each place; `line` is the number of the feature, the first being 1. Raises TooLarge over MAX_GEOJSON."""
        if self._size > MAX_GEOJSON:
            raise TooLarge(f"GeoJSON may be {MAX_GEOJSON >> 20} MiB large; send more as GPX or CSV.")
        try:
            features = msgspec.json.decode(self.file.read(), type=_Collection).features
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise Malformed("The file is no GeoJSON FeatureCollection.") from error
        for number, raw in enumerate(features, 1):
            try:
                feature = msgspec.json.decode(raw, type=_Feature)
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
                yield number, ("field", str(error)[:200])
                continue
            for outcome in self._places(feature):
                yield number, outcome

    def _places(self, feature: _Feature) -> Iterator[Fix | Wrong]:
        fields = {name.lower(): value for name, value in (feature.properties or {}).items()}
        geometry = feature.geometry or _Geometry("none")
        places = geometry.coordinates or []
        if geometry.type == "Point":
            yield self._fix(places, fields)
        elif geometry.type == "LineString":
            times = _times(fields)
            if len(times) != len(places):
                yield "time", "The line has no time for each of its places (`coordTimes`)."
                return
            for place, at in zip(places, times, strict=True):
                yield self._fix(place, {"time": at})
        else:
            yield "field", "Only points with a time and lines with `coordTimes` make a track."

    def _fix(self, place: object, fields: dict[str, Any]) -> Fix | Wrong:
        if not isinstance(place, list) or len(place) not in {2, 3}:
            return "lat", "A place is two or three numbers."
        named = {"lon": place[0], "lat": place[1]} | ({"ele": place[2]} if len(place) > 2 else {})
        return gpslogger.fix_of(fields | named, self.now)


def _times(fields: dict[str, Any]) -> list[Any]:
    """The times of a line's places, as the usual converters write them."""
    inner = fields.get("coordinateproperties")
    found = fields.get("coordtimes") or (inner.get("times") if isinstance(inner, dict) else None)
    return found if isinstance(found, list) else []
