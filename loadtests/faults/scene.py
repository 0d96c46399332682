"""Who takes part: one crew for each writer, with a unit on shift, an officer, a dispatcher and a tracker."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from core import sign_in
from core.actor import Role, system
from core.ids import digest, new_id, new_secret
from core.models import UserAccount
from core.work import Work, open_work
from geo.models import Device, DeviceAssignment, Shift, ShiftMember, Unit, UnitMember


@dataclass(frozen=True)
class Crew:
    """The people and the tracker of one writer; tokens and key are what they sign in with."""

    unit_id: UUID
    officer_id: UUID
    officer_token: str
    dispatcher_id: UUID
    dispatcher_token: str
    device_id: UUID
    device_key: str


async def crews(engine: AsyncEngine, n: int) -> list[Crew]:
    """New crews on shift."""
    async with open_work(engine, system("faults")) as work:
        return [await _crew(work) for _ in range(n)]


async def _crew(work: Work) -> Crew:
    name, key = new_id().hex, new_secret("od")
    officer = UserAccount(login=f"officer-{name}", name=f"Officer {name}", roles=[Role.OFFICER.value])
    dispatcher = UserAccount(login=f"dispatcher-{name}", name=f"Dispatcher {name}", roles=[Role.DISPATCHER.value])
    unit = Unit(call_sign=f"F-{name}", kind="patrol", status="available")
    device = Device(protocol="http", key_digest=digest(key), interval_s=10)
    shift = Shift(unit_id=unit.id, on_at=work.now)
    work.session.add_all([officer, dispatcher, unit, device])
    await work.session.flush()
    work.session.add_all([shift, DeviceAssignment(device_id=device.id, unit_id=unit.id)])
    await work.session.flush()
    work.session.add(UnitMember(unit_id=unit.id, user_id=officer.id))
    work.session.add(ShiftMember(shift_id=shift.id, user_id=officer.id))
    tokens = [(await sign_in.open_session(work, user)).token for user in (officer, dispatcher)]
    return Crew(unit.id, officer.id, tokens[0], dispatcher.id, tokens[1], device.id, key)
