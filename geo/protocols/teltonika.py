"""Teltonika's codec 8, 8 Extended and 16 over TCP and UDP: bytes in, fixes and the answer the device waits for out.

Sources: Teltonika's wiki (Codec; AVL parameters), Traccar's TeltonikaProtocolDecoder.
"""

import struct
from datetime import UTC, datetime
from typing import NamedTuple

from geo.fix import Fix, NoFix, Rejected
from geo.measures import MPS_PER
from geo.protocols.checksum import LONGEST, crc16_ibm
from geo.protocols.fixes import MAX_AHEAD
from geo.protocols.receipts import Damaged, DecodeError, Lost

IMEI_DIGITS = 15
PING = b"\xff"
"""What a device sends between messages to keep its connection; nothing is answered."""
ACCEPTED, REFUSED = b"\x01", b"\x00"
"""The answers to a hello."""
MAX_DATA = LONGEST
"""Devices stop at 1,280 bytes; this is as many records as a frame can number, in 8 Extended and without parameters."""
COMMANDS = {0x0C, 0x0D, 0x0E, 0x0F}
"""Codecs of commands, what devices reply to them and what is wired to them says: no records."""
PANIC_PRIORITY = 2
EVENTS: dict[int, dict[int, str]] = {
    113: dict.fromkeys(range(21), "low_battery"),
    236: {1: "panic"},
    239: {0: "ignition_off", 1: "ignition_on"},
    246: {1: "tow"},
    247: dict.fromkeys(range(1, 8), "crash"),
    249: {1: "jamming", 2: "jamming"},
    252: {0: "power_restored", 1: "power_cut"},
    253: {1: "harsh_acceleration", 2: "harsh_braking", 3: "harsh_cornering"},
    255: dict.fromkeys(range(1, 256), "overspeed"),
    318: {1: "jamming", 2: "jamming"},
}
"""What the parameter that made a device report means, by its value."""
BATTERY = 113
"""The parameter that holds the battery's charge in per cent."""
WIDTHS = (1, 2, 4, 8)
"""Bytes of a value in each of a record's groups of parameters."""
_DEGREE, _KMH = 1e7, MPS_PER["kmh"]
_LON_MAX, _LAT_MAX = 1_800_000_000, 900_000_000
_UNKNOWN_SPEED, _DEEPEST_M, _FULL_CIRCLE, _FULL = 0xFFFF, -12_000, 360, 100
_moment = datetime.fromtimestamp


class _Codec(NamedTuple):
    """How a codec writes a record: its fixed part, and the bytes of a parameter's id and of a group's count."""

    head: struct.Struct
    id_bytes: int
    count_bytes: int


_PLACE = ">QBiihHBH"
CODECS = {
    0x08: _Codec(struct.Struct(f"{_PLACE}BB"), 1, 1),
    0x8E: _Codec(struct.Struct(f"{_PLACE}HH"), 2, 2),
    0x10: _Codec(struct.Struct(f"{_PLACE}HxB"), 2, 1),
}


class Unreadable(DecodeError):
    """An undamaged frame that cannot be decoded. Without an answer the device would send it for ever."""

    def __init__(self, detail: str, records: int) -> None:
        """`records` is how many the device wants to be told of."""
        super().__init__(detail)
        self.records = records


class Contradiction(Unreadable):
    """The same, of a frame whose counts disagree: damaged before it was summed up, so worth asking for once more."""


class Message(NamedTuple):
    """What a frame holds; `records` is what the device must be answered, None for none."""

    records: int | None
    fixes: list[Fix]
    rejected: list[Rejected]


class Datagram(NamedTuple):
    """A message over UDP: who sends it, the two numbers to be echoed, and codec to second count."""

    imei: str
    packet_id: int
    avl_id: int
    data: bytes


def hello(buffer: bytes | bytearray) -> str | None:
    """The IMEI a connection begins with (17 bytes); None when more is to come. Raises Lost."""
    if buffer[:2] != b"\x00\x0f"[: len(buffer)]:
        raise Lost("A connection begins with the length of an IMEI.")
    if len(buffer) < 2 + IMEI_DIGITS:
        return None
    return _imei(bytes(buffer[2 : 2 + IMEI_DIGITS]))


def _imei(digits: bytes) -> str:
    if len(digits) != IMEI_DIGITS or not digits.isdigit():
        raise Lost("The IMEI is not 15 digits.")
    return digits.decode()


def frame_bytes(buffer: bytes | bytearray) -> int | None:
    """How long the frame at the beginning is; None when its head is not there yet. Raises Lost."""
    if any(buffer[:4]):
        raise Lost("A frame begins with four zeros.")
    if len(buffer) < 8:
        return None
    size = int.from_bytes(buffer[4:8])
    if not 3 <= size <= MAX_DATA:
        raise Lost(f"A frame holds 3 to {MAX_DATA} bytes, not {size}.")
    return size + 12


def opened(frame: bytes) -> bytes:
    """Codec to second count of a whole frame; raises Damaged."""
    data = frame[8:-4]
    if crc16_ibm(data) != int.from_bytes(frame[-4:]):
        raise Damaged
    return data


def datagram(raw: bytes) -> Datagram:
    """The parts of a datagram; raises Lost."""
    if len(raw) < 11 + IMEI_DIGITS or int.from_bytes(raw[:2]) != len(raw) - 2 or len(raw) > MAX_DATA:
        raise Lost("The datagram is shorter or longer than it says.")
    if raw[6:8] != b"\x00\x0f":
        raise Lost("The datagram lacks an IMEI.")
    return Datagram(_imei(raw[8:23]), int.from_bytes(raw[2:4]), raw[5], raw[23:])


def answer(records: int) -> bytes:
    """What a device is told of a frame: how many of its records are stored; with another number it sends them again."""
    return records.to_bytes(4)


def receipt(sent: Datagram, records: int) -> bytes:
    """The same over UDP."""
    return struct.pack(">HHBBB", 5, sent.packet_id, 1, sent.avl_id, records)


def decode(data: bytes, now: datetime) -> Message:
    """The fixes of codec to second count; those of no time or place on Earth are rejected. Raises Unreadable."""
    if data[0] in COMMANDS:
        return Message(None, [], [])
    if data[1] != data[-1]:
        raise Contradiction("The two counts of records differ.", data[1])
    codec = CODECS.get(data[0])
    if codec is None:
        raise Unreadable(f"Codec {data[0]} is not known.", data[1])
    try:
        return _decoded(data, codec, int((now + MAX_AHEAD).timestamp() * 1000))
    except (IndexError, struct.error) as error:
        raise Unreadable("The records go on beyond the frame.", data[1]) from error


def _decoded(data: bytes, codec: _Codec, latest_ms: int) -> Message:
    fixes: list[Fix] = []
    rejected: list[Rejected] = []
    head, id_bytes, count_bytes = codec
    unpack, size, n, end = head.unpack_from, head.size, data[1], 2
    passed = _passed if count_bytes == 1 else _passed_wide
    for index in range(n):
        ms, priority, lon, lat, altitude, heading, satellites, kmh, cause, total = unpack(data, end)
        at = end + size
        end, found = passed(data, at, id_bytes)
        if found != total:
            raise Contradiction("A record holds more or fewer parameters than it says.", n)
        if ms > latest_ms:
            rejected.append(Rejected(index, "time", "The time lies more than 400 days ahead."))
            continue
        if not (-_LON_MAX <= lon <= _LON_MAX and -_LAT_MAX <= lat <= _LAT_MAX):
            rejected.append(Rejected(index, "lat", "The place is not on Earth."))
            continue
        fixes.append(
            (Fix if satellites else NoFix)(
                fix_at=_moment(ms / 1000, UTC),
                lat=lat / _DEGREE,
                lon=lon / _DEGREE,
                altitude_m=altitude if altitude >= _DEEPEST_M else None,
                speed_mps=kmh * _KMH if kmh != _UNKNOWN_SPEED else None,
                heading_deg=heading if heading <= _FULL_CIRCLE else None,
                satellites=satellites,
                battery_pct=_battery(data, at, codec) if data.find(BATTERY, at, end) >= 0 else None,
                event=_event(data, at, codec, cause, priority) if cause or priority == PANIC_PRIORITY else None,
            )
        )
    if end != len(data) - 1:
        raise Unreadable("Something follows the last record.", n)
    return Message(n, fixes, rejected)


def _passed(data: bytes, at: int, id_bytes: int) -> tuple[int, int]:
    """Where a record's parameters end, and how many there are, where a group's count is one byte."""
    ones = data[at]
    at += 1 + ones * (id_bytes + 1)
    twos = data[at]
    at += 1 + twos * (id_bytes + 2)
    fours = data[at]
    at += 1 + fours * (id_bytes + 4)
    eights = data[at]
    return at + 1 + eights * (id_bytes + 8), ones + twos + fours + eights


def _passed_wide(data: bytes, at: int, id_bytes: int) -> tuple[int, int]:
    """The same where ids and counts are two bytes, with a last group whose values say how long they are."""
    ones = data[at] << 8 | data[at + 1]
    at += 2 + ones * 3
    twos = data[at] << 8 | data[at + 1]
    at += 2 + twos * 4
    fours = data[at] << 8 | data[at + 1]
    at += 2 + fours * 6
    eights = data[at] << 8 | data[at + 1]
    at += 2 + eights * 10
    texts = data[at] << 8 | data[at + 1]
    at += 2
    for _ in range(texts):
        at += 4 + (data[at + 2] << 8 | data[at + 3])
    return at, ones + twos + fours + eights + texts


def _battery(data: bytes, at: int, codec: _Codec) -> int | None:
    """The battery's charge, if it is among the values of one byte."""
    _, id_bytes, count_bytes = codec
    n = data[at] if count_bytes == 1 else data[at] << 8 | data[at + 1]
    first, step = at + count_bytes, id_bytes + 1
    place = data[first + id_bytes - 1 : first + n * step : step].find(BATTERY)
    if place < 0:
        return None
    value = data[first + place * step + id_bytes : first + place * step + step]
    if id_bytes == 2 and data[first + place * step]:  # another id with the same second byte
        value = _value(data, at, codec, BATTERY)
    return value[0] if len(value) == 1 and value[0] <= _FULL else None


def _value(data: bytes, at: int, codec: _Codec, wanted: int) -> bytes:
    """The value of a parameter; empty when there is none."""
    for width in WIDTHS:
        n = int.from_bytes(data[at : at + codec.count_bytes])
        at += codec.count_bytes
        for value in range(at + codec.id_bytes, at + n * (codec.id_bytes + width), codec.id_bytes + width):
            if int.from_bytes(data[value - codec.id_bytes : value]) == wanted:
                return data[value : value + width]
        at += n * (codec.id_bytes + width)
    return b""


def _event(data: bytes, at: int, codec: _Codec, cause: int, priority: int) -> str | None:
    """What made the device report: a parameter that stands for an event, or what its owner made a panic."""
    if meanings := EVENTS.get(cause):
        value = _value(data, at, codec, cause)
        return meanings.get(int.from_bytes(value)) if value else None
    return "panic" if priority == PANIC_PRIORITY else None
