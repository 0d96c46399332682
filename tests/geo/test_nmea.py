"""NMEA 0183: every vector, sentences of one moment, dates that only some of them say, and what breaks other readers."""

from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import xor
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import TooLarge
from geo.fix import Decoded, Fix, NoFix
from geo.protocols import nmea
from tests.geo import vectors

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
PLACE = "5441.10,N,02516.20,E"
KNOT = 1852 / 3600


def summed(sentence: str) -> str:
    return f"${sentence}*{reduce(xor, sentence.encode()):02X}"


def rmc(time: str = "115959.00", date: str = "010526", *, status: str = "A", place: str = PLACE, rest: str = "") -> str:
    return summed(f"GNRMC,{time},{status},{place},10.0,90.5,{date},,{rest}")


def gga(time: str = "115959.00", quality: int = 1, place: str = PLACE) -> str:
    return summed(f"GPGGA,{time},{place},{quality},08,0.9,101.5,M,20.0,M,,")


def said(*lines: str) -> Decoded:
    return nmea.decode("\r\n".join(lines).encode(), NOW)


def one(*lines: str) -> Any:
    """The one fix, or the code of what is wrong with it."""
    fixes, rejected = said(*lines)
    assert len(fixes) + len(rejected) == 1, (fixes, rejected)
    return fixes[0] if fixes else rejected[0].code


@pytest.mark.parametrize("vector", vectors.everywhere("nmea"), ids=lambda v: v["name"])
def test_vectors(vector: dict[str, Any]) -> None:
    if vector["transport"] == "http":
        fixes, _ = nmea.from_fields({"gprmc": vector["payload"]}, NOW)
    else:
        fixes, _ = nmea.decode(vector["payload"].encode(), NOW)
    vectors.check(vector, [msgspec.structs.asdict(fix) for fix in fixes], NOW)
    for fix, wanted in zip(fixes, vector["expected"], strict=bool(fixes)):
        assert isinstance(fix, NoFix) is not (wanted["valid"] and wanted["time"] is not None)


WHOLE = Fix(
    fix_at=datetime(2026, 5, 1, 11, 59, 59, tzinfo=UTC), lat=54.685, lon=25.27, altitude_m=101.5, speed_mps=10 * KNOT,
    heading_deg=90.5, satellites=8,
)  # fmt: skip


@pytest.mark.parametrize(
    "lines",
    [
        (rmc(), gga()), (gga(), rmc()), (gga("115959"), summed("GPGSA,A,3,01,,,,,,,,,,,,1,1,1"), rmc("115959.000")),
        (rmc(), gga(), summed("GNVTG,1.0,T,,M,2.0,N,3.7,K,A"), summed(f"GNGLL,{PLACE},115959.00,A,A")),
        (summed("GPZDA,115959.00,01,05,2026,,"), gga(), summed("GNVTG,90.5,T,,M,10.0,N,18.5,K")),
        (f"860000000000000,{rmc()}", gga()), ("860000000000000", rmc() + gga()), (f"\\s:a,c:1*00\\{rmc()}", gga()),
        (summed(f"GNGNS,115959.00,{PLACE},AN,08,0.9,101.5,20.0,,"), rmc()),
    ],
)  # fmt: skip
def test_sentences_of_one_moment_are_one_fix(lines: tuple[str, ...]) -> None:
    assert one(*lines) == WHOLE


def test_what_a_further_sentence_may_add_to_is_not_settled() -> None:
    first, other = (f"{rmc(at)}\r\n$GPGSV,1,1\r\n{gga(at)}\r\n".encode() for at in ("115959.00", "120000.00"))
    assert [nmea.settled(body) for body in (first, first + other, other[:0], b"name\r\n")] == [0, len(first), 0, 6]
    assert nmea.settled(b"name\r\n" + first) == 6
    alone = summed("TRCCR,20140111000000.000,V,60.000000,-60.000000,0.00,0.00,0.00,50,").encode() + b"\r\n"
    assert nmea.settled(first + alone) == len(first + alone), "nothing adds to a sentence that says a moment alone"


def test_moments_are_told_apart() -> None:
    fixes, _ = said(rmc(), gga(), rmc("120000.00"), gga("120000.00"), rmc("120000.00"))
    assert [(fix.fix_at.second, fix.altitude_m) for fix in fixes] == [(59, 101.5), (0, 101.5), (0, None)]


@pytest.mark.parametrize(
    ("lines", "days"),
    [
        ((rmc("235959.00", "311225"), gga("000000.50"), gga("000001.50")), [31, 1, 1]),
        ((rmc("000000.00", "010126"), gga("235959.50")), [1, 31]),  # an older one that comes late
        ((f"\\c:1767225599*00\\{gga('235959.00')}", gga("000001.00")), [31, 1]),
        ((f"\\g:1-2-3,c:1767225600000*00\\{gga('235959.00')}",), [31]),
        ((gga("115500.00"), gga("120500.00")), [1, 1]),  # of today, when it is now
        ((summed("GPZDA,235959.00,31,12,2025,00,00"), gga("000001.00")), [1]),
    ],
)
def test_days_of_sentences_that_say_only_the_time(lines: tuple[str, ...], days: list[int]) -> None:
    fixes, rejected = said(*lines)
    assert ([fix.fix_at.day for fix in fixes], rejected) == (days, [])


def test_midnight_is_not_far_from_now() -> None:
    fixes, _ = nmea.decode(gga("235959.00").encode(), datetime(2026, 5, 1, 0, 0, 30, tzinfo=UTC))
    assert fixes[0].fix_at == datetime(2026, 4, 30, 23, 59, 59, tzinfo=UTC)


def test_a_place_without_a_date_is_telemetry_of_now() -> None:
    fix = one(gga("080000.00"))
    assert (fix.fix_at, fix.nowhere, fix.lat, fix.satellites) == (NOW, True, 54.685, 8)
    fix = one(summed(f"GPGLL,{PLACE}"))
    assert (fix.fix_at, fix.nowhere, fix.lat) == (NOW, False, 54.685), "what says no time at all is of now"
    heard = list(nmea.heard([(1, gga("120000.00"))], NOW, nmea.Clock()))
    assert heard == [(1, ("time", "Nothing says the date."))], "a file is not of now"


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ((rmc(date="310226"),), "time"), ((rmc(date="000000"),), "time"), ((rmc(date="0105261"),), "time"),
        ((rmc(date="1e0526"),), "time"), ((rmc("245959.00"),), "time"), ((rmc("125960.5"),), None),
        ((rmc("1159"),), "time"), ((rmc(place="5460.00,N,02516.20,E"),), "lat"),
        ((rmc(place="5441.10,X,02516.20,E"),), "lat"), ((rmc(place="5441.10,N,02516.20,"),), "lon"),
        ((rmc(place="9100.00,N,02516.20,E"),), "lat"), ((rmc(place="5441.10,N,18100.00,E"),), "lon"),
        ((rmc(place="5441.10,N,-2516.20,E"),), "lon"), ((rmc(place="5_1.10,N,02516.20,E"),), "lat"),
        ((rmc()[:-2] + "00",), "field"), ((rmc()[:-1],), "field"), ((rmc()[:-2],), "field"),
        (("hello world",), "field"), (("$" + "A" * 2_000,), "field"), ((rmc(date="010190"),), None),
        ((rmc(date="311269"),), "time"), ((rmc(date="010180"),), None), ((rmc(date="010179"),), "time"),
    ],
)  # fmt: skip
def test_what_is_wrong(lines: tuple[str, ...], code: str | None) -> None:
    found = one(*lines)
    assert found == code if code else isinstance(found, Fix)


@pytest.mark.parametrize(
    "line", [rmc(status="V"), gga(quality=0), rmc(rest=",N"), summed(f"GNGNS,115959.00,{PLACE},NN,00,,,,,"),
             rmc(place="0000.0,N,00000.0,E"), summed(f"GLGLL,{PLACE},115959.00,V,N")]
)  # fmt: skip
def test_a_receiver_that_does_not_know_where_it_is(line: str) -> None:
    assert one(line).nowhere


def test_any_sentence_of_a_moment_may_say_so() -> None:
    gll = summed(f"GNGLL,{PLACE},115959.00,A,A")
    lost = summed("GNRMC,115959.00,V,,,,,,,010526,,,N")
    assert one(gll, lost).nowhere
    assert one(lost, gll).nowhere
    standing = summed("GNVTG,,T,,M,,N,,K,N")
    assert one(rmc(), standing) == one(rmc()), "a speed that is none is no word on the place"


@pytest.mark.parametrize(
    "line", ["", "  ", "$", "$GPTXT,01,01,02,hello", summed("PUBX,00,x"), rmc(place=",,,", status="V"), "IMEI 35",
             summed("GPRMC,,V,,,,,,,,,,N"), "ABCDEF01", "$IMEI,3500", "$PGID,359853000144328*0F", "$*00", "\\$\\",
             summed("PGRMC,A,218.8,100,6378137.000"), "$PUBX", "$PGRM", "$PASHR", "$GPRMC", "$TRCCR",
             f"$G@RMC,115959.00,A,{PLACE},10.0,90.5,010526,,"]
)  # fmt: skip
def test_lines_without_a_fix_are_no_fault(line: str) -> None:
    assert said(line) == ([], [])


def test_minutes_are_the_two_digits_before_the_point() -> None:
    fix = one(rmc(place="5441.123456,S,007.5,W"))
    assert (fix.lat, fix.lon) == pytest.approx((-54.6853909333, -0.125))
    assert one(rmc(place="441.,N,5.25,E")).lon == 0.0875


def test_gpslogger_writes_zeros_for_a_speed_and_a_course_it_does_not_know() -> None:
    standing = summed(f"GPRMC,115959,A,{PLACE},0.000000,0.000000,010526,,")
    fix = one(standing)
    assert (fix.speed_mps, fix.heading_deg) == (0, 0), "a tracker means it"
    [fix], _ = nmea.from_fields({"gprmc": standing}, NOW)
    assert (fix.speed_mps, fix.heading_deg) == (None, None)
    [fix], _ = nmea.from_fields({"gprmc": summed(f"GPRMC,115959,A,{PLACE},0.00,0.00,010526,,")}, NOW)
    assert (fix.speed_mps, fix.heading_deg) == (0, 0)


def test_spaces_around_the_checksum_are_not_part_of_it() -> None:
    assert one(rmc().replace("*", " * ")).lat == 54.685
    assert one(rmc().replace("*", " * 1")) == "field"


def test_trackers_own_sentences() -> None:
    fix = one(summed("TRCCR,20260501115959.000,A,54.685,-25.27,10.0,90.5,101.5,50,"))
    assert fix == msgspec.structs.replace(WHOLE, lon=-25.27, satellites=None)
    fix = one("QZE,868994033976700,1,01052026,115959,54.685,25.27,36,90,V,1")
    assert (fix.speed_mps, fix.fix_at, fix.nowhere) == (10, WHOLE.fix_at, True)
    assert one(f"{rmc()[1:]},SOS").heading_deg == 90.5
    assert one(summed("TRCCR,20261301115959.000,A,54.6,25.2,1,1,1,1,")) == "time"
    assert one(summed("TRCCR,20260101115959.000,A,x,25.2,1,1,1,1,")) == "lat"
    assert one("QZE,868994033976700,1,01052026,11:59,54.685,25.27,36,90,A,1") == "time", "a broken time is not now"


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("358244017671308", "358244017671308"), ("IMEI 351467108700000", "351467108700000"), ("$GPFID,ID1", "ID1"),
        ("$IMEI,3514671", "3514671"), ("$PGID,359853000144328*0F", "359853000144328"), ("$DEVID,ABC*00", "ABC"),
        ("$PCPTI,CradlePoint Test,1", "CradlePoint Test"), (f"013227003054776,{rmc()}", "013227003054776"),
        (f"a/b7/{rmc()}", "b7"), (f"&&ID1111{rmc()}", "&&ID1111"), (f"{rmc()},11,865733027593268,1", "865733027593268"),
        ("QZE,868994033976700,1,", "868994033976700"), (rmc(), None), ("", None), ("two words", None),
        (f"car-7\\c:1*00\\{rmc()}", "car-7"),
    ],
)  # fmt: skip
def test_names_of_devices(line: str, name: str | None) -> None:
    assert nmea.identifier(line) == name


def test_fields_beside_a_sentence() -> None:
    fixes, rejected = nmea.from_fields({"gprmc": rmc(), "alt": "7.5", "batt": "80", "id": "x"}, NOW)
    assert (fixes[0].altitude_m, fixes[0].battery_pct, rejected) == (7.5, 80, [])
    assert nmea.from_fields({"rmc": rmc(), "gpgga": gga(), "alt": "1", "batt": "900"}, NOW) == ([WHOLE], [])
    assert nmea.from_fields({"gprmc": rmc(status="V"), "batt": "80"}, NOW)[0][0].nowhere
    assert nmea.from_fields({}, NOW) == ([], [])


def test_a_message_is_bounded() -> None:
    with pytest.raises(TooLarge):
        said(*(summed(f"GPRMC,{(NOW + timedelta(seconds=n)):%H%M%S},A,{PLACE},,,010526,,") for n in range(5_001)))


SHARDS = st.sampled_from(
    ["$", "*", ",", "\\", "\n", "GPRMC", "GPGGA", "TRCCR", "A", "N", "E", "12", "²", "\x00", "5441.1"]
)


@given(st.one_of(st.binary(max_size=200), st.lists(SHARDS, max_size=40).map(lambda parts: "".join(parts).encode())))
def test_nothing_breaks_it(body: bytes) -> None:
    fixes, rejected = nmea.decode(body, NOW)
    assert len(fixes) + len(rejected) <= len(body)
    nmea.identifier(body.decode("ascii", "replace"))
