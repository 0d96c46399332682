"""A track as a file: GeoJSON, CSV, GPX 1.1 or KML 2.2, written piece by piece."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from geo.models import Unit
from geo.where import TrackFix
from mobile_contract.fields import utc_text

COLUMNS = (
    "unit_id", "fix_at", "received_at", "lat", "lon", "accuracy_m", "altitude_m", "speed_mps", "heading_deg", "suspect",
)  # fmt: skip
GARMIN = "http://www.garmin.com/xmlschemas/TrackPointExtension/v2"
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'


def _name(unit: Unit) -> str:
    """The call sign as XML; XML 1.0 has no way to write control characters."""
    return escape("".join(sign for sign in unit.call_sign if sign.isprintable()))


def _values(unit: Unit, fix: TrackFix) -> dict[str, Any]:
    values = fix._asdict() | {"unit_id": str(unit.id)}
    values |= {"fix_at": utc_text(fix.fix_at), "received_at": utc_text(fix.received_at)}
    return {name: values[name] for name in COLUMNS}


def _feature(unit: Unit, fix: TrackFix) -> str:
    properties = _values(unit, fix)
    point = {"type": "Point", "coordinates": [properties.pop("lon"), properties.pop("lat")]}
    return json.dumps({"type": "Feature", "geometry": point, "properties": properties}, separators=(",", ":"))


def _line(unit: Unit, fix: TrackFix) -> str:
    """No cell holds free text, so none can begin a formula."""
    cells = _values(unit, fix) | {"suspect": str(fix.suspect).lower()}
    line = io.StringIO()
    csv.writer(line).writerow(cells.values())
    return line.getvalue()


def _trkpt(unit: Unit, fix: TrackFix) -> str:
    """GPX 1.1 itself has no speed and course: they go where Garmin's extension puts them."""
    height = "" if fix.altitude_m is None else f"<ele>{fix.altitude_m}</ele>"
    beside = {"speed": fix.speed_mps, "course": fix.heading_deg}
    told = "".join(f"<tp:{name}>{value}</tp:{name}>" for name, value in beside.items() if value is not None)
    if told:
        told = f"<extensions><tp:TrackPointExtension>{told}</tp:TrackPointExtension></extensions>"
    return f'<trkpt lat="{fix.lat}" lon="{fix.lon}">{height}<time>{utc_text(fix.fix_at)}</time>{told}</trkpt>\n'


def _placemark(unit: Unit, fix: TrackFix) -> str:
    when, height = utc_text(fix.fix_at), "" if fix.altitude_m is None else f",{fix.altitude_m}"
    beside = {"accuracy_m": fix.accuracy_m, "speed_mps": fix.speed_mps, "heading_deg": fix.heading_deg}
    told = "".join(f'<Data name="{k}"><value>{v}</value></Data>' for k, v in beside.items() if v is not None)
    if told:
        told = f"<ExtendedData>{told}</ExtendedData>"
    return (
        f"<Placemark><TimeStamp><when>{when}</when></TimeStamp>{told}"
        f"<Point><coordinates>{fix.lon},{fix.lat}{height}</coordinates></Point></Placemark>\n"
    )


@dataclass(frozen=True)
class TrackFile:
    """How one format is written: `head`, the fixes with `between` them, `tail`."""

    media_type: str
    head: Callable[[Unit], str]
    fix: Callable[[Unit, TrackFix], str]
    between: str = ""
    tail: str = ""


FORMATS: dict[str, TrackFile] = {
    "geojson": TrackFile(
        "application/geo+json", lambda _: '{"type":"FeatureCollection","features":[\n', _feature, ",\n",
        '\n],"next":null}\n',
    ),
    "csv": TrackFile("text/csv; charset=utf-8", lambda _: ",".join(COLUMNS) + "\r\n", _line),
    "gpx": TrackFile(
        "application/gpx+xml",
        lambda unit: f'{_XML}<gpx version="1.1" creator="Outrider" xmlns="http://www.topografix.com/GPX/1/1"'
        f' xmlns:tp="{GARMIN}">\n'
        f"<trk><name>{_name(unit)}</name><trkseg>\n",
        _trkpt,
        tail="</trkseg></trk></gpx>\n",
    ),
    "kml": TrackFile(
        "application/vnd.google-earth.kml+xml",
        lambda unit: f'{_XML}<kml xmlns="http://www.opengis.net/kml/2.2"><Document>'
        f"<name>{_name(unit)}</name>\n",
        _placemark,
        tail="</Document></kml>\n",
    ),
}  # fmt: skip
