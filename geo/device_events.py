"""What devices report beside where they are: one closed list of events, whatever each protocol calls them."""

PANIC, PANIC_CANCELLED = "panic", "panic_cancelled"
ALARMS = (PANIC, "crash", "fall", "tow", "tamper", "power_cut", "jamming", "low_battery")
"""What dispatchers are told of, the worst first."""
OWED = frozenset({*ALARMS, PANIC_CANCELLED})
"""Events that something is done about; the others are history alone."""
HISTORY = (
    PANIC_CANCELLED, "mock", "power_restored", "power_off", "vibration", "door", "geofence_enter", "geofence_exit",
    "overspeed", "harsh_acceleration", "harsh_braking", "harsh_cornering", "ignition_on", "ignition_off",
)  # fmt: skip
EVENTS = (*ALARMS, *HISTORY)
"""Every event there is, the most telling first: of several in one message the fix keeps the first."""
_ALSO = {
    "sos": PANIC, "help": PANIC, "soscancelled": PANIC_CANCELLED,
    "accident": "crash", "falldown": "fall", "mandown": "fall",
    "tampering": "tamper", "removing": "tamper", "bonnet": "tamper", "gpsantennacut": "tamper",
    "unplug": "power_cut", "lowpower": "low_battery",
    "jammed": "jamming", "shock": "vibration", "powershutdown": "power_off",
    "hardacceleration": "harsh_acceleration", "hardbraking": "harsh_braking", "hardcornering": "harsh_cornering",
    "ignition": "ignition_on", "deviceoverspeed": "overspeed",
    "geofenceenter": "geofence_enter", "geofenceexit": "geofence_exit",
}  # fmt: skip
"""Other words for them, of Traccar's list of alarms and events above all."""
_WORDS = {code.replace("_", ""): code for code in EVENTS} | _ALSO
_CODES = frozenset(EVENTS)
_SEPARATORS = str.maketrans("", "", "_- ")
_LONGEST = 200


def code_of(said: object) -> str | None:
    """The event that a word means, or the most telling of several between commas; None for what is none.

    Capitals, spaces, `_` and `-` make no difference.
    """
    if not isinstance(said, str) or len(said) > _LONGEST:
        return None
    if said in _CODES:
        return said
    found = {_WORDS.get(word.translate(_SEPARATORS).lower()) for word in said.split(",")}
    return next((code for code in EVENTS if code in found), None)
