"""The last step of an alarm: e-mail and SMS to supervisors, without content, each once and in order, whatever fails."""

import re
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import text

from core.actor import Role, system
from core.settings import Settings
from core.work import open_work
from dispatch_api import outside
from dispatch_api.process import tls
from dispatch_api.workers import deadlines, messages
from dispatch_api.workers.messages import Lines
from tasks import alert_messages, alerts
from tasks.alert_messages import Channel
from tests.fake_outside import FakeGateway, FakeMail
from tests.helpers import person
from tests.tasks.conftest import Scene

TITLE, INSTRUCTION, NAME = "Kontrabanda Medininkuose", "Laukti prie sandėlio", "Vadovė Čepaitė"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("authority")
    assert tls.init(Settings(data_dir=made), ["127.0.0.1"]) == 0
    return made / "tls"


@pytest.fixture
def mail(folder: Path) -> Iterator[FakeMail]:
    running = FakeMail((folder / "server.crt", folder / "server.key"))
    yield running
    running.close()


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    running = FakeGateway()
    yield running
    running.close()


class Desk:
    """A scene whose alarms go on by e-mail and SMS."""

    def __init__(self, scene: Scene, settings: Settings) -> None:
        self.scene, self.settings, self.lines = scene, settings, Lines()

    async def sql(self, statement: str, **values: Any) -> list[Any]:
        async with open_work(self.scene.engine, system("test")) as work:
            done = await work.session.execute(text(statement), values)
            return list(done.all()) if done.returns_rows else []  # type: ignore[attr-defined]

    async def supervisor(self, n: int | str, **fields: Any) -> Any:
        given = {"name": NAME, "email": f"s{n}@customs.example", "phone": f"+370 600 0000{n}"} | fields
        return await person(self.scene.engine, Role.SUPERVISOR, **given)

    async def escalated(self, **fields: Any) -> dict[str, Any]:
        """A task whose alarm nobody took, until after its last step."""
        task = await self.scene.issued(priority="P1", title=TITLE, instruction=INSTRUCTION, **fields)
        for _ in range(5):
            await self.later(61)
            await deadlines.round_(self.scene.engine, self.settings)
        return task

    async def later(self, seconds: float) -> None:
        ago = timedelta(seconds=seconds)
        await self.sql("UPDATE task SET ack_due_at = ack_due_at - CAST(:ago AS interval)", ago=ago)
        await self.sql("UPDATE alert SET raised_at = raised_at - CAST(:ago AS interval)", ago=ago)

    async def alert(self) -> dict[str, Any]:
        async with open_work(self.scene.engine, self.scene.dispatcher) as work:
            return (await alerts.listed(work, is_open=True, limit=50, after=None))[0][0]

    async def rounds(self, channel: Channel) -> None:
        """Send all that is due, whatever the line waited for."""
        self.lines.of[channel].closed_until = 0
        await self.sql("UPDATE alert_message SET due_at = now() - interval '1 second' WHERE done_at IS NULL")
        while await messages.round_(self.scene.engine, self.settings, channel, self.lines):
            pass

    async def outcomes(self, channel: Channel) -> list[str | None]:
        rows = await self.sql("SELECT outcome FROM alert_message WHERE channel = :c ORDER BY owed_at, id", c=channel)
        return [row.outcome for row in rows]


@pytest_asyncio.fixture
async def desk(
    scene: Scene, settings: Settings, mail: FakeMail, gateway: FakeGateway, folder: Path
) -> AsyncIterator[Desk]:
    set_up = {
        "public_url": "https://outrider.example/", "smtp_host": "127.0.0.1", "smtp_port": mail.port,
        "smtp_ca": folder / "ca.crt", "smtp_from": "outrider@customs.example", "smtp_user": "outrider",
        "smtp_password": SecretStr("hush"), "sms_url": gateway.url, "sms_secret": SecretStr("hush"),
        "sms_headers": {"Authorization": "Bearer {secret}", "Idempotency-Key": "{id}"},
    }  # fmt: skip
    yield Desk(scene, settings.model_copy(update=set_up))


async def test_what_the_supervisors_do_not_take_is_written_to_them_once_without_content(
    desk: Desk, mail: FakeMail, gateway: FakeGateway
) -> None:
    chief = await desk.supervisor(1)
    task = await desk.escalated()
    for channel in (Channel.EMAIL, Channel.SMS) * 2:
        await desk.rounds(channel)
    (letter,), (sms,) = mail.taken, gateway.taken
    where = f"https://outrider.example/#task/{task['id']}"
    told = f"Outrider #{task['number']} P1"
    assert (letter["To"], letter["From"], letter["Subject"]) == ("s1@customs.example", "outrider@customs.example", told)
    assert sms == {"to": "+37060000001", "text": f"{told} {where}"}
    assert gateway.headers["authorization"] == "Bearer hush"
    assert len(mail.logins) == 1
    assert letter.get_content().splitlines()[2:4] == [f"#{task['number']} P1", where]
    whole = f"{letter} {letter.get_content()} {sms['text']}"
    unit = desk.scene.crew.unit.call_sign
    for word in (
        *TITLE.split(),
        *INSTRUCTION.split(),
        *NAME.split(),
        chief.login,
        unit,
        "checkpoint",
        "54.68",
        "25.27",
    ):
        assert word.casefold() not in whole.casefold(), word
    assert (await desk.alert())["reached"] == "messages"
    last = (await desk.scene.events(task))[-1]
    assert (last["verb"], last["reason_code"], last["reason"]) == ("escalate", "messages", NAME)
    assert (await desk.sql("SELECT count(*) FROM audit_event WHERE object_kind = 'alert' AND fields ? 'message'"))[0][
        0
    ] == 2


async def test_nobody_is_written_to_before_the_last_step_nor_after_somebody_took_it(desk: Desk) -> None:
    await desk.supervisor(1)
    await desk.scene.issued(priority="P1")
    for _ in range(3):
        await desk.later(61)
        await deadlines.round_(desk.scene.engine, desk.settings)
    assert (await desk.alert())["reached"] == "supervisors"
    assert await desk.outcomes(Channel.SMS) == []
    await desk.sql("UPDATE alert SET taken_at = now(), taken_by = :id", id=desk.scene.dispatcher.id)
    await desk.later(500)
    await deadlines.round_(desk.scene.engine, desk.settings)
    assert await desk.outcomes(Channel.SMS) == []


async def test_who_has_no_address_is_stood_in_for_and_where_nobody_has_one_that_is_said(desk: Desk) -> None:
    await desk.supervisor(1, email=None, phone=None)
    task = await desk.escalated()
    assert (await desk.alert())["reached"] == "no_address"
    assert [e["reason_code"] for e in await desk.scene.events(task)][-1] == "no_address"
    await desk.sql("UPDATE alert SET cleared_at = now()")
    on_call = await desk.supervisor(2, email=None)
    await desk.sql(
        "UPDATE user_account SET disabled_at = now() WHERE login = :login", login=(await desk.supervisor(3)).login
    )
    await desk.escalated()
    rows = await desk.sql("SELECT user_id, channel FROM alert_message")
    assert [tuple(row) for row in rows] == [(on_call.id, "sms")]


async def test_an_alarm_that_was_old_when_the_channel_was_set_up_wakes_nobody(desk: Desk) -> None:
    await desk.supervisor(1)
    sms_url, desk.settings = desk.settings, desk.settings.model_copy(update={"sms_url": None, "smtp_host": None})
    await desk.escalated()
    assert (await desk.alert())["reached"] == "supervisors"
    await desk.sql("UPDATE alert SET updated_at = now() - interval '3 days'")
    desk.settings = sms_url
    await deadlines.round_(desk.scene.engine, desk.settings)
    assert (await desk.alert())["reached"] == "supervisors"


@pytest.mark.parametrize("channel", [Channel.EMAIL, Channel.SMS])
async def test_after_an_outage_everything_leaves_once_and_in_order(
    desk: Desk, mail: FakeMail, gateway: FakeGateway, channel: Channel
) -> None:
    for n in (1, 2, 3):
        await desk.supervisor(n)
    mail.is_down, gateway.status = True, 503
    tasks = []
    for _ in range(4):
        tasks.append(await desk.escalated())
        await desk.rounds(channel)
        assert not await messages.round_(desk.scene.engine, desk.settings, channel, desk.lines), "it waits"
    server: FakeMail | FakeGateway = mail if channel is Channel.EMAIL else gateway
    assert server.attempts == 4, "one try at a time"
    assert 0 < desk.lines.of[channel].closed_until - time.monotonic() <= messages.LONGEST_PAUSE_S
    assert set(await desk.outcomes(channel)) == {None}
    mail.is_down, gateway.status = False, 202
    for _ in range(2):
        await desk.rounds(channel)
    got = [(m["To"], m["Subject"]) for m in mail.taken] or [(m["to"], m["text"]) for m in gateway.taken]
    assert len(set(got)) == len(got) == 12
    numbers = [int(re.findall(r"#(\d+)", words)[0]) for _, words in got]
    assert numbers == [task["number"] for task in tasks for _ in range(3)]
    assert set(await desk.outcomes(channel)) == {"sent"}


@pytest.mark.parametrize("channel", [Channel.EMAIL, Channel.SMS])
async def test_one_whose_way_is_blocked_holds_up_nobody_else(
    desk: Desk, mail: FakeMail, gateway: FakeGateway, channel: Channel
) -> None:
    await desk.supervisor(1, name="A", email="gone@customs.example", phone="+1 1")
    await desk.supervisor(2, name="B", email="busy@customs.example", phone="+2 2")
    await desk.supervisor(3, name="C")
    await desk.escalated()
    await desk.escalated()
    gateway.retry_after = "120"
    await desk.rounds(channel)
    assert await desk.outcomes(channel) == ["refused", None, "sent"] * 2
    rows = await desk.sql("SELECT tries, due_at - now() AS wait FROM alert_message WHERE done_at IS NULL AND tries > 0")
    (first,) = rows
    assert first.tries == 1
    assert first.wait.total_seconds() > (110 if channel is Channel.SMS else 0), "as long as was asked for"
    gateway.retry_after = ""
    await desk.sql("UPDATE user_account SET email = 's2@customs.example', phone = '+3702' WHERE name = 'B'")
    await desk.rounds(channel)
    assert await desk.outcomes(channel) == ["refused", "sent", "sent"] * 2


async def test_what_is_a_day_late_or_for_somebody_who_left_is_not_sent(
    desk: Desk, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.supervisor(1, name="A")
    left = await desk.supervisor(2, name="B")
    await desk.escalated()
    await desk.sql("UPDATE user_account SET disabled_at = now() WHERE id = :id", id=left.id)
    await desk.rounds(Channel.SMS)
    assert await desk.outcomes(Channel.SMS) == ["sent", "no_address"]
    await desk.escalated()
    monkeypatch.setattr(alert_messages, "LATE", timedelta(seconds=-1))
    await desk.rounds(Channel.SMS)
    assert await desk.outcomes(Channel.SMS) == ["sent", "no_address", "late"]
    assert len(gateway.taken) == gateway.attempts == 1


async def test_a_worker_that_died_with_a_message_in_hand_leaves_it_to_the_next(
    desk: Desk, gateway: FakeGateway
) -> None:
    await desk.supervisor(1)
    await desk.escalated()
    async with open_work(desk.scene.engine, system("messages")) as work:
        held = await alert_messages.take(work, Channel.SMS)
    assert held
    async with open_work(desk.scene.engine, system("messages")) as work:
        assert await alert_messages.take(work, Channel.SMS) is None
    await desk.rounds(Channel.SMS)
    assert len(gateway.taken) == 1
    assert gateway.headers["idempotency-key"] == str(held.id), "the same message, for a gateway that asks"


@pytest.mark.parametrize("how", [("POST", "form"), ("GET", "query")])
async def test_gateways_that_want_forms_or_queries(desk: Desk, gateway: FakeGateway, how: tuple[str, str]) -> None:
    await desk.supervisor(1)
    await desk.escalated()
    fields = {"key": "{secret}", "to": "{to}", "message": "{text}"}
    update = {"sms_method": how[0], "sms_format": how[1], "sms_fields": fields, "sms_headers": {}}
    if how[1] == "query":
        update["sms_url"] = f"{desk.settings.sms_url}?account=7"
    desk.settings = desk.settings.model_copy(update=update)
    await desk.rounds(Channel.SMS)
    assert gateway.taken[0]["key"] == "hush"
    assert gateway.taken[0].get("account") == ("7" if how[1] == "query" else None), "what the address says is kept"
    assert gateway.taken[0]["message"].startswith("Outrider #")


async def test_a_mail_server_nobody_vouches_for_gets_neither_password_nor_message(desk: Desk, mail: FakeMail) -> None:
    await desk.supervisor(1)
    await desk.escalated()
    desk.settings = desk.settings.model_copy(update={"smtp_ca": None})
    await desk.rounds(Channel.EMAIL)
    assert (mail.attempts, mail.logins, mail.taken) == (1, [], [])
    assert await desk.outcomes(Channel.EMAIL) == [None]


def test_settings_that_lead_nowhere_are_named_and_no_channel() -> None:
    bare = Settings(_env_file=None)  # type: ignore[call-arg]
    assert outside.wanted(bare) == []
    wrong = bare.model_copy(update={
        "smtp_host": "mail.example", "smtp_from": "outrider", "smtp_user": "o", "smtp_ca": Path("nowhere"),
        "smtp_security": "none", "sms_url": "http://gateway.example", "sms_fields": {"to": "{to}"},
        "sms_method": "GET", "sms_secret": SecretStr("x"),
    })  # fmt: skip
    assert outside.wanted(wrong) == [Channel.EMAIL, Channel.SMS]
    assert outside.channels(wrong) == []
    said = [" ".join(outside.troubles(wrong, channel)) for channel in Channel]
    for name in ("SMTP_FROM", "SMTP_PASSWORD", "SMTP_SECURITY", "SMTP_CA", "PUBLIC_URL"):
        assert name in said[0]
    for name in ("SMS_URL", "SMS_METHOD", "{text}", "SMS_SECRET", "PUBLIC_URL"):
        assert name in said[1]
