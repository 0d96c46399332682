"""What trackers of each protocol say of readings: the other side of geo/protocols. No clock, no network."""

import struct
from typing import Any
from urllib.parse import urlencode

from dispatch_api.simulation.vehicle import Reading
from geo.protocols import gt06
from geo.protocols.checksum import crc16_ibm, crc16_x25

ACCURACY_M, BATTERY_PCT, SATELLITES = 5, 90, 11
_AVL = struct.Struct(">QBiihHBHBBBBBBBBBB")
_GT06_PLACE = struct.Struct(">6BBIIBH")
_GT06_CELL = bytes.fromhex("00F6010001000001")
_FIXED_NORTH = 1 << 12 | 1 << 10


def teltonika_data(readings: list[Reading]) -> bytes:
    """Codec 8 records with ignition and battery, codec to second count."""
    records = (
        _AVL.pack(one.at_ms, 0, round(one.lon * 1e7), round(one.lat * 1e7), 100, one.heading_deg, SATELLITES,
                  one.speed_kmh, 0, 2, 2, 239, 1, 113, BATTERY_PCT, 0, 0, 0)
        for one in readings
    )  # fmt: skip
    count = bytes([len(readings)])
    return b"\x08" + count + b"".join(records) + count


def teltonika_frame(readings: list[Reading]) -> bytes:
    """The same as it goes over TCP."""
    data = teltonika_data(readings)
    return struct.pack(">II", 0, len(data)) + data + struct.pack(">I", crc16_ibm(data))


def teltonika_packet(imei: str, number: int, readings: list[Reading]) -> bytes:
    """The same as it goes over UDP."""
    inner = struct.pack(">HBBH", number & 0xFFFF, 1, number & 0xFF, len(imei)) + imei.encode()
    inner += teltonika_data(readings)
    return len(inner).to_bytes(2) + inner


def gt06_login(imei: str) -> bytes:
    """The first frame of a GT06 connection."""
    return _gt06_frame(gt06.LOGIN, bytes.fromhex(f"0{imei}"), 1)


def gt06_place(one: Reading, serial: int) -> bytes:
    """A GT06 frame with a place and a cell."""
    at = one.at
    date = (at.year - 2000, at.month, at.day, at.hour, at.minute, at.second)
    lat, lon = round(one.lat * 1_800_000), round(one.lon * 1_800_000)
    place = _GT06_PLACE.pack(*date, 0xC0 | SATELLITES, lat, lon, one.speed_kmh, _FIXED_NORTH | one.heading_deg)
    return _gt06_frame(0x12, place + _GT06_CELL, serial)


def _gt06_frame(kind: int, content: bytes, serial: int) -> bytes:
    summed = bytes([len(content) + 5, kind]) + content + (serial & 0xFFFF).to_bytes(2)
    return gt06.SHORT + summed + crc16_x25(summed).to_bytes(2) + gt06.TAIL


def _angle(degrees: float, digits: int) -> str:
    """`ddmm.mmmm`, as NMEA and H02 write an angle."""
    whole, minutes = divmod(round(degrees * 600_000), 600_000)
    return f"{whole:0{digits}}{minutes / 10_000:07.4f}"


def h02_text(name: str, one: Reading) -> bytes:
    """An H02 message with a place."""
    return (
        f"*HQ,{name},V1,{one.at:%H%M%S},A,{_angle(one.lat, 2)},N,{_angle(one.lon, 3)},E,{one.speed_knots:06.2f},"
        f"{one.heading_deg:03},{one.at:%d%m%y},FFFFFFFF#"
    ).encode()


def rmc(one: Reading) -> str:
    """An NMEA sentence with its checksum."""
    milliseconds = one.at_ms % 1000
    text = (
        f"GPRMC,{one.at:%H%M%S}.{milliseconds:03},A,{_angle(one.lat, 2)},N,{_angle(one.lon, 3)},E,"
        f"{one.speed_knots:.2f},{one.heading_deg:.1f},{one.at:%d%m%y},,,A"
    )
    checksum = 0
    for letter in text.encode():
        checksum ^= letter
    return f"${text}*{checksum:02X}"


def cot_event(uid: str, one: Reading, kind: str = "a-f-G-U-C") -> bytes:
    """A CoT event of a tablet; of kind `t-x-c-t` a ping."""
    at = f'time="{one.iso}" start="{one.iso}" stale="{one.iso}"'
    track = f'<track speed="{one.speed_mps}" course="{one.heading_deg}"/>'
    return (
        f'<event version="2.0" uid="{uid}" type="{kind}" how="m-g" {at}><point lat="{one.lat:.7f}" lon="{one.lon:.7f}"'
        f' hae="9999999.0" ce="{ACCURACY_M}" le="9999999.0"/><detail><contact callsign="{uid}"/>{track}</detail>'
        "</event>"
    ).encode()


def own(readings: list[Reading]) -> dict[str, Any]:
    """Our own JSON."""
    fixes = [
        {"fix_at": one.iso, "lat": one.lat, "lon": one.lon, "accuracy_m": ACCURACY_M, "speed_mps": one.speed_mps,
         "heading_deg": one.heading_deg, "battery_pct": BATTERY_PCT}
        for one in readings
    ]  # fmt: skip
    return {"fixes": fixes}


def osmand(key: str, one: Reading) -> str:
    """The query of OsmAnd and Traccar Client."""
    return urlencode({"id": key, "timestamp": one.at_ms, "lat": one.lat, "lon": one.lon, "speed": one.speed_knots,
                      "bearing": one.heading_deg, "accuracy": ACCURACY_M, "batt": BATTERY_PCT})  # fmt: skip


def gpslogger(one: Reading) -> str:
    """The form of GPSLogger."""
    return urlencode({"lat": one.lat, "lon": one.lon, "time": one.iso, "spd": one.speed_mps, "dir": one.heading_deg,
                      "acc": ACCURACY_M, "sat": SATELLITES, "batt": BATTERY_PCT})  # fmt: skip


def owntracks(one: Reading) -> dict[str, Any]:
    """A location of OwnTracks; it knows whole seconds alone."""
    return {"_type": "location", "tst": one.at_ms // 1000, "lat": one.lat, "lon": one.lon, "vel": one.speed_kmh,
            "cog": one.heading_deg, "acc": ACCURACY_M, "batt": BATTERY_PCT, "t": "p"}  # fmt: skip


def overland(readings: list[Reading]) -> dict[str, Any]:
    """A batch of Overland."""
    return {"locations": [
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [one.lon, one.lat]},
         "properties": {"timestamp": one.iso, "speed": one.speed_mps, "course": one.heading_deg,
                        "horizontal_accuracy": ACCURACY_M, "battery_level": BATTERY_PCT / 100}}
        for one in readings
    ]}  # fmt: skip


def forwarded(unique_id: str, one: Reading) -> dict[str, Any]:
    """What a Traccar server forwards."""
    position = {"fixTime": one.iso, "deviceTime": one.iso, "valid": True, "outdated": False, "latitude": one.lat,
                "longitude": one.lon, "speed": one.speed_knots, "course": one.heading_deg, "accuracy": ACCURACY_M,
                "attributes": {"sat": SATELLITES, "batteryLevel": BATTERY_PCT}}  # fmt: skip
    return {"device": {"uniqueId": unique_id}, "position": position}
