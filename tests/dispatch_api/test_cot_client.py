"""A real TAK client, PyTAK, with the certificate that `tls-client` makes: what it reports, and what it is shown."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from configparser import ConfigParser
from datetime import timedelta
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

import pytak
import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import system
from core.settings import Settings
from core.work import open_work
from dispatch_api.gateway import cot_view
from dispatch_api.gateway.server import gateway
from dispatch_api.process import tls, tls_client
from tasks.models import Notice, NoticeRecipient
from tests.dispatch_api.test_gateway_cot import Tablet, given_task, registered
from tests.geo.fleet import Fleet, now
from tests.helpers import Database, eventually, free_port, person


@pytest.fixture
def settings(database: Database, tmp_path: Path) -> Iterator[Settings]:
    made = Settings(data_dir=tmp_path)
    assert tls.init(made, ["localhost", "127.0.0.1"]) == 0
    folder = tmp_path / "tls"
    before, cot_view.EVERY_S = cot_view.EVERY_S, 0.1
    yield Settings(
        database_url=database.app_url, ingest_database_url=database.ingest_url, data_dir=tmp_path, teltonika_port=0,
        cot_port=free_port(), tls_cert=folder / "server.crt", tls_key=folder / "server.key",
        cot_client_ca=folder / "ca.crt",
    )  # fmt: skip
    cot_view.EVERY_S = before


@pytest_asyncio.fixture
async def fleet(database: Database) -> AsyncIterator[Fleet]:
    db = await database.owner()
    yield Fleet(db)
    await db.close()


class Receiver(pytak.RXWorker):  # type: ignore[misc]
    """What PyTAK's own reader takes off the wire."""

    async def handle_data(self, data: bytes) -> None:
        await self.put_queue(data)


class Client:
    """PyTAK connected as a tablet."""

    def __init__(self, settings: Settings, tablet: Tablet) -> None:
        folder = settings.data_dir / "tls"
        assert tls_client.init(settings, tablet.name) == 0
        parser = ConfigParser()
        parser["tablet"] = {
            "COT_URL": f"tls://localhost:{settings.cot_port}",
            "PYTAK_TLS_CLIENT_CERT": str(folder / f"{tablet.name}.p12"),
            "PYTAK_TLS_CLIENT_PASSWORD": tls_client.PASSWORD.decode(),
            "PYTAK_TLS_CLIENT_CAFILE": str(folder / "ca.crt"),
        }
        self._config, self.tablet = parser["tablet"], tablet
        self._taken: asyncio.Queue[bytes] = asyncio.Queue()

    async def __aenter__(self) -> "Client":
        reader, self._writer = await pytak.protocol_factory(self._config)
        self._sending: asyncio.Queue[bytes] = asyncio.Queue()
        workers = pytak.TXWorker(self._sending, self._config, self._writer), Receiver(self._taken, self._config, reader)
        self._running = [asyncio.create_task(worker.run()) for worker in workers]
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def report(self, lat: float, lon: float) -> None:
        """Send its own position, as PyTAK writes it."""
        sent = pytak.gen_cot(lat=lat, lon=lon, ce=5, uid=self.tablet.name, stale=60, cot_type="a-f-G-U-C")
        assert sent is not None
        await self._sending.put(sent)

    async def shown(self, n: int) -> dict[str, Element]:
        """So many events, by name."""
        found: dict[str, Element] = {}
        async with asyncio.timeout(20):
            while len(found) < n:
                event = fromstring((await self._taken.get()).strip())
                found[event.get("uid", "")] = event
        return found


async def test_a_tak_client_reports_and_is_shown_units_tasks_and_notices(
    settings: Settings, fleet: Fleet, engine: AsyncEngine
) -> None:
    mine, other = [await registered(fleet, settings.cot_port) for _ in range(2)]
    task_id = await given_task(engine, other.unit_id, mine.unit_id, point="SRID=4326;POINT(25.3 54.8)")
    reader = await person(engine, "officer")
    async with open_work(engine, system("test")) as work:
        notice = Notice(kind="information", priority="P3", headline="Fog", valid_to=now() + timedelta(hours=1))
        work.session.add(notice)
        await work.session.flush()
        work.session.add(NoticeRecipient(notice_id=notice.id, user_id=reader.id, unit_id=mine.unit_id))
    async with gateway(settings):
        async with Client(settings, other) as client:
            await client.report(54.9, 25.4)
            await eventually(other.track)
        async with Client(settings, mine) as client:
            await client.report(54.7, 25.3)
            found = await client.shown(3)
            rows = await eventually(mine.track)
    assert [(row["lat"], row["lon"], row["accuracy_m"], row["suspect"]) for row in rows] == [(54.7, 25.3, 5, None)]
    unit, task = found[f"outrider.unit.{other.unit_id}"], found[f"outrider.task.{task_id}"]
    place = unit.find("point")
    assert place is not None
    assert (float(place.get("lat", "")), float(place.get("lon", ""))) == (54.9, 25.4)
    assert "Grey van" in "".join(task.itertext()) + str([each.attrib for each in task.iter()])
    (said,) = [event for uid, event in found.items() if "notice" in uid]
    assert "Fog" in "".join(said.itertext())
