"""Who is told of what: the full map from what was committed to who wakes up."""

from core.bus import (
    AccessChanged,
    DeviceEventsCame,
    DutyChanged,
    HandoversChanged,
    InboxGrew,
    NoticesChanged,
    TasksChanged,
    UnitsChanged,
)
from dispatch_api.alarms import Alarms
from dispatch_api.state import State


def connect(state: State) -> None:
    """Tie this process's listeners to its bus."""
    bus, hub, duty = state.bus, state.hub, state.duty
    bus.on(DutyChanged, duty.changed)
    bus.on(UnitsChanged, hub.units_changed)
    bus.on(TasksChanged, hub.tasks_changed)
    bus.on(NoticesChanged, hub.notices_changed)
    bus.on(HandoversChanged, hub.handovers_changed)
    bus.on(InboxGrew, hub.inbox_grew)
    bus.on(AccessChanged, hub.access_changed)
    bus.on(DeviceEventsCame, Alarms(state.engine, bus).came)
