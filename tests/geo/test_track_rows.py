"""Files of tracks, read: five formats, lines that are wrong, and files that were made to harm."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from core.errors import Malformed, OutriderError
from geo.fix import Fix, NoFix
from geo.track_import import AT_ONCE, FORMATS

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
AT = datetime(2026, 4, 30, 10, tzinfo=UTC)
T = "2026-04-30T10:00:00Z"
FULL = Fix(fix_at=AT, lat=54.7, lon=25.3, altitude_m=100, speed_mps=5.5, heading_deg=90)
BARE = Fix(fix_at=AT, lat=54.7, lon=25.3)
MIB = 2**20


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Reads a file of a format as far as a request does; the rows."""

    def rows(form: str, content: str | bytes) -> list[Any]:
        file = tmp_path / "track"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        opened = FORMATS[form](file, NOW)
        try:
            return list(islice(opened, AT_ONCE))
        finally:
            opened.close()

    return rows


def gpx(*points: str, version: str = "1.1") -> str:
    space = f"http://www.topografix.com/GPX/{version.replace('.', '/')}"
    track = f"<trk><name>a &amp; b</name><trkseg>{''.join(points)}</trkseg></trk>"
    return f'<?xml version="1.0"?>\n<gpx version="{version}" xmlns="{space}">{track}</gpx>'


def point(inner: str = f"<time>{T}</time>", lat: object = 54.7, lon: object = 25.3) -> str:
    return f'\n<trkpt lat="{lat}" lon="{lon}">{inner}</trkpt>'


def kml(*marks: str) -> str:
    space = 'xmlns="http://www.opengis.net/kml/2.2" xmlns:gx="http://www.google.com/kml/ext/2.2"'
    inner = "".join(f"\n<Placemark>{mark}</Placemark>" for mark in marks)
    return f"<kml {space}><Document>{inner}</Document></kml>"


def mark(place: str = "25.3,54.7,100", at: str = f"<TimeStamp><when>{T}</when></TimeStamp>", beside: str = "") -> str:
    return f"{at}{beside}<Point><coordinates> {place} </coordinates></Point>"


SPEED = "<extensions><a:Ext><a:speed>5.5</a:speed><a:course>90</a:course></a:Ext></extensions>"
DATA = "".join(
    f'<Data name="{name}"><value>{n}</value></Data>' for name, n in (("speed_mps", 5.5), ("heading_deg", 90))
)


@pytest.mark.parametrize(
    ("form", "content", "wanted"),
    [
        ("gpx", gpx(point(f"<ele>100</ele><time>{T}</time>{SPEED}")), FULL),
        (
            "gpx",
            gpx(point(f"<time>{T}</time><ele>100</ele><course>90</course><speed>5.5</speed>"), version="1.0"),
            FULL,
        ),
        ("gpx", gpx(point("<time>2026-04-30T10:00:00</time>")), BARE),
        ("gpx", gpx(point("<time>2026-04-30T12:00:00.000+02:00</time><sym>x</sym>")), BARE),
        ("gpx", gpx(point()).replace("1.0", "1.0' encoding='UTF-16", 1).replace('"', "'").encode("utf-16"), BARE),
        ("gpx", gpx(point()).replace("<trk>", '<wpt lat="1" lon="1"/><rte><rtept lat="1" lon="2"/></rte><trk>'), BARE),
        ("kml", kml(mark(beside=f"<ExtendedData>{DATA}</ExtendedData>")), FULL),
        ("kml", kml(mark("25.3,54.7")), BARE),
        ("kml", kml(f"<gx:Track><when>{T}</when><gx:coord>25.3 54.7</gx:coord></gx:Track>"), BARE),
        ("kml", kml("<name>x</name>", mark("25.3,54.7", f"<TimeSpan><begin>{T}</begin></TimeSpan>")), BARE),
        ("csv", f"fix_at,lat,lon,altitude_m,speed_mps,heading_deg\n{T},54.7,25.3,100,5.5,90\n", FULL),
        ("csv", f"\ufeffTime;Latitude;Longitude;ele;speed_kph;dir\r\n{T};54,7;25,3;100;19,8;90\r\n", FULL),
        ("csv", "date\ttime\tlat\tlon\n2026-04-30\t10:00:00\t54.7\t25.3", BARE),
        ("csv", f"{T},54.7,25.3", BARE),
        ("csv", f"lat,lon,timestamp,note\n54.7,25.3,{AT.timestamp()},{'x' * MIB}\n", BARE),
        ("nmea", "$GPRMC,100000,A,5442.0,N,02518.0,E,,,300426,,\r\n", BARE),
    ],
)
def test_every_format(read: Any, form: str, content: str | bytes, wanted: Fix) -> None:
    ((_, found),) = read(form, content)
    assert found == wanted


def collection(*features: str) -> str:
    return f'{{"type": "FeatureCollection", "features": [{",".join(features)}]}}'


def feature(kind: str, places: object, **properties: Any) -> str:
    body = {"type": "Feature", "geometry": {"type": kind, "coordinates": places}, "properties": properties}
    return str(body).replace("'", '"')


def test_geojson_points_and_lines(read: Any) -> None:
    content = collection(
        feature("Point", [25.3, 54.7, 100], fix_at=T, speed_mps=5.5, heading_deg=90),
        feature("LineString", [[25.3, 54.7], [25.3, 54.7]], coordTimes=[T, AT.timestamp()]),
        feature("LineString", [[25.3, 54.7]], coordinateProperties={"times": [T]}),
        feature("LineString", [[25.3, 54.7]]), feature("Polygon", []), feature("Point", [25.3], time=T), "5",
    )  # fmt: skip
    rows = read("geojson", content)
    assert rows[:4] == [(1, FULL), (2, BARE), (2, BARE), (3, BARE)]
    assert [(line, wrong[0]) for line, wrong in rows[4:]] == [(4, "time"), (5, "field"), (6, "lat"), (7, "field")]


def test_what_is_wrong_is_told_by_its_line(read: Any) -> None:
    points = [
        point(), point("<time>2026-02-30T10:00:00Z</time>"), point(""), point(lat=91), point(lon="x"),
        point("<time>soon</time>"), point("<time>9999-12-31T23:59:59Z</time>"),
        point(f"<time>{T}</time><fix>none</fix>"), '\n<trkpt lon="1"/>',
    ]  # fmt: skip
    rows = read("gpx", gpx(*points))
    assert [(line, found[0] if isinstance(found, tuple) else type(found)) for line, found in rows] == [
        (3, Fix), (4, "time"), (5, "time"), (6, "lat"), (7, "lon"), (8, "time"), (9, "time"), (10, NoFix), (11, "time"),
    ]  # fmt: skip
    rows = read("csv", f'fix_at,lat,lon\n{T},54.7,25.3\n{T},54.7\n\n{T},54.7\x00,25.3\n"{T}\n",1,2\n2026,x,1\n')
    assert [(line, isinstance(found, Fix)) for line, found in rows] == [
        (2, True), (3, False), (5, False), (6, True), (8, False),
    ]  # fmt: skip
    rows = read(
        "kml",
        kml(mark(), mark("a,b"), mark("1"), mark(at=""), "<LineString><coordinates>1,1 2,2</coordinates></LineString>"),
    )
    assert [found[0] if isinstance(found, tuple) else "" for _, found in rows] == ["", "lat", "lat", "time", "time"]


def test_kml_tracks_pair_times_and_places(read: Any) -> None:
    times = "".join(f"<when>2026-04-30T10:00:0{n}Z</when>" for n in range(3))
    places = "".join(f"<gx:coord>25.3 54.{n} 1</gx:coord>" for n in range(3))
    rows = read("kml", kml(f"<gx:MultiTrack><gx:Track>{times}{places}</gx:Track></gx:MultiTrack>"))
    assert [(found.fix_at.second, found.lat) for _, found in rows] == [(0, 54.0), (1, 54.1), (2, 54.2)]
    rows = read(
        "kml", kml(f"<gx:Track>{places}</gx:Track>", f"<gx:Track>{times}<gx:coord>25.3 54.7</gx:coord></gx:Track>")
    )
    assert [found[0] if isinstance(found, tuple) else "" for _, found in rows] == ["time", "time", "time", "", "lat"]


@pytest.mark.parametrize(
    "broken", [gpx(point(), point())[:-30], gpx(point(), "\x00"), gpx(point(), "&secret;"), gpx(point(), "<a>")]
)
def test_a_file_that_breaks_off_keeps_what_was_before(read: Any, broken: str) -> None:
    (_, first), *_, (_, last) = read("gpx", broken)
    assert first == BARE
    assert last[1].startswith("The file breaks off here")


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


def hostile() -> Iterator[tuple[str, str | bytes]]:
    head = gpx(point()).partition("</trkseg>")[0]
    yield "gpx", f'<!DOCTYPE x [<!ENTITY l0 "lol">{LAUGHS}]>' + gpx(point("<time>&l9;</time>"))
    yield "gpx", '<!DOCTYPE gpx SYSTEM "file:///etc/passwd"><gpx/>'
    yield "kml", '<!DOCTYPE kml [<!ENTITY x SYSTEM "file:///etc/passwd">]><kml>&x;</kml>'
    yield "gpx", "<!DOCTYPE gpx><gpx/>"
    yield "gpx", head + "<a>" * 100_000
    yield "gpx", head + '<a b="' + "x" * (20 * MIB)
    yield "gpx", head + "<!--" + "x" * (20 * MIB)
    yield "gpx", head + "<" + "x" * (20 * MIB)
    yield "kml", "<kml><gx:Track>" + "<when/>" * 200_001
    for form in sorted(FORMATS.keys() - {"nmea"}):
        yield from ((form, content) for content in ("", "hello", "\x00" * 1_000, b"\xff\xfe\xff", "[" * 100_000))
    yield "gpx", "<kml/>"
    yield "kml", "<gpx/>"
    yield "csv", "a,b\n1,2\n"
    yield "csv", "lat,lon\n1,2\n"
    yield "geojson", '{"type":"FeatureCollection","features":[NaN]}'


@pytest.mark.parametrize(
    ("form", "content"), list(hostile()), ids=lambda part: str(part)[:20] if len(part) < 99 else len(part)
)
def test_files_that_are_none_are_refused_at_once(read: Any, form: str, content: str | bytes) -> None:
    begun = time.process_time()
    with pytest.raises(Malformed):
        read(form, content)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("csv", "fix_at,lat,lon\n" + "x" * (50 * MIB)), ("csv", 'fix_at,lat,lon\n"' + "x\n" * MIB),
        ("nmea", "x" * (50 * MIB) + "\n"), ("nmea", b"\x00\xff\n" * 10_000), ("nmea", b"$" * MIB),
        ("gpx", gpx(point(), "x" * (50 * MIB))), ("gpx", gpx(point(), f"<![CDATA[{'x' * (20 * MIB)}]]>")),
        ("kml", kml(mark("1" * (20 * MIB)))),
    ],
    ids=range(8),
)  # fmt: skip
def test_endless_lines_and_texts_cost_little(read: Any, form: str, content: str | bytes) -> None:
    begun = time.process_time()
    try:
        rows = read(form, content)
    except OutriderError:
        rows = []
    assert time.process_time() - begun < 5
    assert sum(len(str(row)) for row in rows) < 4 * MIB
