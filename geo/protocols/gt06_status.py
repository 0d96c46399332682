"""What happened, and how full the battery is, as GT06 frames say it behind the place.

An alarm has a code of its own in most frames, and three bits of the status byte in all; the code says more.
"""

ALARMS = {
    0x01: "panic", 0x02: "power_cut", 0x03: "vibration", 0x04: "geofence_enter", 0x05: "geofence_exit",
    0x06: "overspeed", 0x09: "tow", 0x0C: "tamper", 0x0E: "low_battery", 0x0F: "low_battery", 0x11: "power_off",
    0x13: "tamper", 0x14: "door", 0x18: "tamper", 0x19: "low_battery", 0x23: "fall", 0x25: "tamper",
    0x26: "harsh_acceleration", 0x27: "harsh_braking", 0x29: "harsh_acceleration", 0x2A: "harsh_cornering",
    0x2B: "harsh_cornering", 0x2C: "crash", 0x2E: "harsh_cornering", 0x30: "harsh_braking", 0xFE: "ignition_on",
    0xFF: "ignition_off",
}  # fmt: skip
STATUS_ALARMS = {1: "vibration", 2: "power_cut", 3: "low_battery", 4: "panic", 7: "tamper"}
DASHCAM_ALARMS = {
    0x01: "panic", 0x0E: "low_battery", 0x80: "vibration", 0x87: "overspeed", 0x88: "power_cut",
    0x90: "harsh_acceleration", 0x91: "harsh_braking", 0x92: "harsh_cornering", 0x93: "crash",
}  # fmt: skip
MODULE_ALARMS = {
    0x10: "door", 0x12: "tamper", 0x14: "geofence_enter", 0x15: "geofence_exit", 0x1A: "low_battery",
    0x1B: "overspeed", 0x1D: "power_off", 0x20: "vibration", 0x21: "power_cut", 0x23: "tamper",
}  # fmt: skip
BOXED_ALARMS = {0xA2: "low_battery", 0xA3: "low_battery", 0xA5: "door"}
PLACE = 18
"""Bytes of date, place, speed and course."""
IGNITION_CHANGED = 3
"""Why a frame was sent, where it says so."""
_FULL_LEVEL, _FULL = 6, 100
Status = tuple[str | None, int | None]


def event_and_battery(kind: int, content: bytes, *, is_boxed: bool = False) -> Status:
    """The event of a frame and the charge of its battery in per cent, each None when it says none.

    Of a frame with a place `content` begins with it; one that ends early says nothing.
    """
    try:
        return _boxed(kind, content) if is_boxed else _ordinary(kind, content)
    except IndexError:
        return None, None


def _ordinary(kind: int, content: bytes) -> Status:
    if kind == 0x95:
        return DASHCAM_ALARMS.get(content[24 if content[:2] == b"\xff\xff" else 16]), None
    if kind == 0x70:
        return MODULE_ALARMS.get(content[0]), None
    if kind in {0x22, 0x2D, 0x37, 0xA0}:
        return _ignition(kind, content), None
    if kind in {0x12, 0xA2}:
        return _of_models(kind, content)
    at = _status_at(kind, content)
    if at is None:
        return None, None
    alarm = None if (kind, len(content)) == (0x16, 31) else ALARMS.get(content[at + 3])
    return alarm or _by_bits(content[at]), _battery(content[at + 1])


def _by_bits(status: int) -> str | None:
    return STATUS_ALARMS.get(status >> 3 & 7)


def _battery(level: int) -> int | None:
    """Per cent of a level from 0 to 6, or of per cent."""
    if level <= _FULL_LEVEL:
        return round(level * _FULL / _FULL_LEVEL)
    return level if level <= _FULL else None


def _network_bytes(content: bytes, at: int, rest: int) -> int:
    """How long a cell is: its network's code has two bytes when the country's has its first bit set."""
    return 2 + (2 if content[at] & 0x80 else 1) + rest


def _status_at(kind: int, content: bytes) -> int | None:
    """Where the status begins; None for kinds without one."""
    if kind == 0x19:
        return _network_bytes(content, 0, 5)
    if kind == 0xA5:
        return _network_bytes(content, 0, 12)
    if kind not in {0x16, 0x26, 0x27, 0x32, 0xA4}:
        return None
    size = len(content)
    if kind == 0x16 and size == 31:  # no length before the cell
        return PLACE + 8
    if content[PLACE] == 0 or (kind == 0x16 and size == 33):  # zeros fill it up; a cell longer than it says
        return size - 5
    return PLACE + content[PLACE]


def _of_models(kind: int, content: bytes) -> Status:
    """What some models add to frames that in others say nothing more."""
    if kind == 0xA2:
        at = PLACE + _network_bytes(content, PLACE, 12) + 1
        return ALARMS.get(content[at + 5]) or _by_bits(content[at]), _battery(content[at + 3])
    if len(content) == 31:
        return _by_bits(content[26]), None
    if len(content) == 38:
        return ALARMS.get(content[30]) or _by_bits(content[26]), None
    return None, None


def _ignition(kind: int, content: bytes) -> str | None:
    """Whether the ignition's change is why the frame was sent."""
    at = PLACE + _network_bytes(content, PLACE, 12 if kind == 0xA0 else 5)
    if content[at + 1] != IGNITION_CHANGED:
        return None
    return "ignition_on" if content[at] else "ignition_off"


def _boxed(kind: int, content: bytes) -> Status:
    """Behind a place with a length before it: cell and signal, more cells, access points, each with a length too."""
    at = 7 + 12
    at += content[at] + 1 if content[at] else 1
    for _ in range(2):
        at += 1 + content[at]
    return (BOXED_ALARMS.get(content[at]) if kind == 0x33 else None), None
