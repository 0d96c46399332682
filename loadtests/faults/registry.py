"""Every fault test, in the order in which they are run."""

from loadtests.faults.clock import F17
from loadtests.faults.day_offline import O2
from loadtests.faults.deployed import F18
from loadtests.faults.exhausted import F13
from loadtests.faults.fault import Fault
from loadtests.faults.flushed import F3
from loadtests.faults.full_disk import F10
from loadtests.faults.fuzzed import F8
from loadtests.faults.gateway import GW
from loadtests.faults.killed import F1, F2
from loadtests.faults.killed_tablet import F5
from loadtests.faults.listener import F16
from loadtests.faults.offline import F4
from loadtests.faults.restored import F19
from loadtests.faults.returning import F14
from loadtests.faults.revoked import F11
from loadtests.faults.shuffled import F6
from loadtests.faults.stalled import F7

FAULTS: dict[str, Fault] = {
    fault.name: fault for fault in (F1, F2, F3, F4, F5, F6, F7, F8, F10, F11, F13, F14, F16, F17, F18, F19, GW, O2)
}
