"""Files of tracks in XML, GPX 1.0 and 1.1 and KML 2.2: read piece by piece with expat, in bounded memory.

A document type is refused, and with it every entity; a file that breaks off keeps the places before.

Sources: topografix.com/GPX/1/1, Garmin's TrackPointExtension, OGC KML 2.2 and Google's extension `gx`.
"""

import re
from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

from core.errors import Malformed
from geo.fix import Fix
from geo.protocols import gpslogger
from geo.protocols.foreign import Wrong, unfixed
from geo.track_rows import Numbered, Rows

PIECE = 2**14
MAX_TOKEN = 2**18
"""A tag, comment or attribute longer than this is no part of a track."""
MAX_TEXT = 4_096
MAX_DEPTH = 64
MAX_WAITING = 200_000
"""Times of a KML track that wait for their places."""
_WITHOUT_ZONE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?")


class XmlRows(Rows):
    """What GPX and KML have in common."""

    root = ""

    def __init__(self, file: Path, now: datetime) -> None:
        """Open it."""
        super().__init__(file, now)
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._hear
        parser.StartDoctypeDeclHandler = self._refuse_type
        self._path: list[str] = []
        self._text: list[str] | None = None
        self._found: deque[Numbered] = deque()
        self._has_found = False

    def __iter__(self) -> Iterator[Numbered]:
        """Each place; raises Malformed for what is another kind of file, or breaks off before the first place."""
        fed = 0
        while True:
            piece = self.file.read(PIECE)
            fed += len(piece)
            try:
                self._parser.Parse(piece, not piece)
            except expat.ExpatError as error:
                if not self._has_found:
                    raise Malformed(f"The file is no {self.root.upper()}: {error}.") from error
                self.found(error.lineno, ("field", f"The file breaks off here: {error}."))
                piece = b""
            yield from self._found
            self._found.clear()
            if not piece:
                return
            if fed - max(self._parser.CurrentByteIndex, 0) > MAX_TOKEN:
                raise Malformed("A tag is longer than that of any track.")

    @property
    def line(self) -> int:
        """Where the parser is."""
        return self._parser.CurrentLineNumber

    @abstractmethod
    def started(self, name: str, attributes: Mapping[str, str]) -> None:
        """An element has begun; its name is without the namespace, in small letters."""

    @abstractmethod
    def ended(self, name: str, text: str) -> None:
        """An element has ended; the text is its own if it holds no others."""

    def found(self, line: int, outcome: Fix | Wrong) -> None:
        """A place was read."""
        self._found.append((line, outcome))
        self._has_found = True

    def within(self, name: str) -> bool:
        """Whether the element that just began or ended is inside one of this name."""
        return name in self._path

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2].lower()
        if not self._path and name != self.root:
            raise Malformed(f"The file is no {self.root.upper()}.")
        if len(self._path) == MAX_DEPTH:
            raise Malformed("The elements lie deeper in each other than in any track.")
        self._path.append(name)
        self._text = []
        self.started(name, attributes)

    def _hear(self, text: str) -> None:
        if self._text is not None and sum(map(len, self._text)) < MAX_TEXT:
            self._text.append(text)

    def _end(self, tag: str) -> None:
        name = self._path.pop()
        text = "" if self._text is None else "".join(self._text)[:MAX_TEXT].strip()
        self._text = None
        self.ended(name, text)

    def _refuse_type(self, *_: object) -> NoReturn:
        raise Malformed("A document type is not taken in files of tracks.")


class GpxRows(XmlRows):
    """The points of GPX tracks; waypoints and routes are no track. Times without a zone are UTC, as GPX says."""

    root = "gpx"
    _fields: dict[str, str] | None = None

    def started(self, name: str, attributes: Mapping[str, str]) -> None:
        """A point begins."""
        if name == "trkpt":
            self._fields, self._line = dict(attributes), self.line

    def ended(self, name: str, text: str) -> None:
        """A field of a point, or the point, is whole."""
        if self._fields is None:
            return
        if name != "trkpt":
            if text:
                self._fields.setdefault(name, text)
            return
        fields, self._fields = self._fields, None
        outcome = gpslogger.fix_of(fields | {"time": zoned(fields.get("time", ""))}, self.now)
        is_unfixed = fields.get("fix") == "none" and isinstance(outcome, Fix)
        self.found(self._line, unfixed(outcome) if is_unfixed and isinstance(outcome, Fix) else outcome)


class KmlRows(XmlRows):
    """Placemarks with a time and a point, and the tracks of Google's extension."""

    root = "kml"

    def __init__(self, file: Path, now: datetime) -> None:
        """Open it."""
        super().__init__(file, now)
        self._fields: dict[str, str] = {}
        self._line = 0
        self._data = ""
        self._times: deque[str] = deque()
        self._places: deque[tuple[int, str]] = deque()

    def started(self, name: str, attributes: Mapping[str, str]) -> None:
        """A placemark, a track or a named value begins."""
        if name == "placemark":
            self._fields, self._line = {}, self.line
        elif name == "track":
            self._times.clear()
            self._places.clear()
        elif name in {"data", "simpledata"}:
            self._data = attributes.get("name", "").lower()

    def ended(self, name: str, text: str) -> None:
        """A part, or the whole, of a place or track is there."""
        if self.within("track"):
            self._track(name, text)
        elif name == "track":
            self._unpaired()
        elif name in {"when", "begin"}:
            self._fields.setdefault("time", text)
        elif name == "coordinates":
            self._fields["coordinates" if self.within("point") else "line"] = text
        elif name in {"value", "simpledata"} and self._data and text:
            self._fields.setdefault(self._data, text)
        elif name == "placemark":
            self._placemark()

    def _placemark(self) -> None:
        if "line" in self._fields:
            self.found(self._line, ("time", "A line's places have no times; a track (`gx:Track`) has."))
        elif coordinates := self._fields.pop("coordinates", None):
            self.found(self._line, self._fix(coordinates.split(","), self._fields))

    def _track(self, name: str, text: str) -> None:
        if name == "when":
            self._times.append(text)
        elif name == "coord":
            self._places.append((self.line, text))
        if len(self._times) + len(self._places) > MAX_WAITING:
            raise Malformed(f"More than {MAX_WAITING} times or places of a track lack the other.")
        while self._times and self._places:
            line, place = self._places.popleft()
            self.found(line, self._fix(place.split(), {"time": self._times.popleft()}))

    def _unpaired(self) -> None:
        for line, _ in self._places:
            self.found(line, ("time", "The track has fewer times than places."))
        if self._times:
            self.found(self.line, ("lat", "The track has fewer places than times."))

    def _fix(self, place: list[str], fields: Mapping[str, str]) -> Fix | Wrong:
        if len(place) not in {2, 3}:
            return "lat", "A place is two or three numbers."
        named = dict(zip(("lon", "lat", "ele"), place, strict=False))
        return gpslogger.fix_of({**fields, **named, "time": zoned(fields.get("time", ""))}, self.now)


def zoned(text: str) -> str:
    """A time with its zone, UTC unless said."""
    return f"{text}Z" if _WITHOUT_ZONE.fullmatch(text) else text
