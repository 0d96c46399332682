"""Who takes part: crews for the writers, people with a session each, units with a tracker each."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from core import sign_in
from core.actor import Role, system
from core.ids import digest, new_id, new_secret
from core.models import SignIn, UserAccount
from core.work import Work, open_work
from geo.device_secrets import OWNTRACKS, broker_hash
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
    shift_id: UUID


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
    return Crew(unit.id, officer.id, tokens[0], dispatcher.id, tokens[1], device.id, key, shift.id)


@dataclass(frozen=True)
class Person:
    """Somebody with an open session."""

    id: UUID
    token: str
    session_id: UUID


async def people(engine: AsyncEngine, role: Role, n: int) -> list[Person]:
    """New people of one role, signed in; all at once, since some tests want thousands."""
    async with open_work(engine, system("faults")) as work:
        names = [new_id().hex for _ in range(n)]
        users = [UserAccount(login=f"{role}-{name}", name=f"{role} {name}", roles=[role.value]) for name in names]
        work.session.add_all(users)
        await work.session.flush()
        tokens = [new_secret("os") for _ in users]
        sessions = [
            SignIn(token_digest=digest(token), csrf_token=new_secret("oc"), user_id=user.id,
                   expires_at=work.now + sign_in.SESSION)
            for user, token in zip(users, tokens, strict=True)
        ]  # fmt: skip
        work.session.add_all(sessions)
    return [Person(u.id, token, s.id) for u, token, s in zip(users, tokens, sessions, strict=True)]


@dataclass(frozen=True)
class Tracked:
    """A unit that is always tracked, and its device."""

    unit_id: UUID
    device_id: UUID
    key: str


async def tracked(engine: AsyncEngine, n: int, protocol: str = "http", first_imei: int = 0) -> list[Tracked]:
    """New units that need no shift, with a device each; with `first_imei` they have numbers from that on."""
    async with open_work(engine, system("faults")) as work:
        keys = [new_secret("od") for _ in range(n)]
        units = [
            Unit(call_sign=f"F-{new_id().hex}", kind="vehicle", status="available", tracking="always") for _ in keys
        ]
        devices = [
            Device(
                protocol=protocol, key_digest=digest(key), interval_s=10,
                identifier=str(first_imei + number) if first_imei else None,
                broker_hash=broker_hash(key) if protocol == OWNTRACKS else None,
            )
            for number, key in enumerate(keys)
        ]  # fmt: skip
        work.session.add_all([*units, *devices])
        await work.session.flush()
        made = [Tracked(u.id, d.id, key) for u, d, key in zip(units, devices, keys, strict=True)]
        work.session.add_all([DeviceAssignment(device_id=each.device_id, unit_id=each.unit_id) for each in made])
    return made


async def with_crews(engine: AsyncEngine, units: list[Tracked], officers: list[Person]) -> None:
    """Put one officer on a shift of each of these units."""
    async with open_work(engine, system("faults")) as work:
        shifts = [Shift(unit_id=unit.unit_id, on_at=work.now) for unit in units]
        work.session.add_all(shifts)
        await work.session.flush()
        for unit, shift, officer in zip(units, shifts, officers, strict=True):
            work.session.add(UnitMember(unit_id=unit.unit_id, user_id=officer.id))
            work.session.add(ShiftMember(shift_id=shift.id, user_id=officer.id))
