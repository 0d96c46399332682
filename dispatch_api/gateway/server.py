"""The gateway put together: listeners over the duty book and the group-commit writer, from start to stop."""

import asyncio
import contextlib
import resource
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import structlog
import uvloop
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from core.settings import Settings
from dispatch_api import logs
from dispatch_api.commands.database import with_database
from dispatch_api.gateway.cot import CotLine
from dispatch_api.gateway.cot_view import CotView
from dispatch_api.gateway.datagrams import Datagrams
from dispatch_api.gateway.desk import Desk
from dispatch_api.gateway.greeting import Greeting
from dispatch_api.gateway.gt06 import Gt06Datagrams, Gt06Line
from dispatch_api.gateway.h02 import H02Datagrams, H02Line, Statuses
from dispatch_api.gateway.line import Line, Lines
from dispatch_api.gateway.mqtt import Subscriber
from dispatch_api.gateway.nmea import NmeaLine
from dispatch_api.gateway.teltonika import TeltonikaDatagrams, TeltonikaLine
from dispatch_api.metrics.measures import Commits, Measures
from dispatch_api.metrics.pages import Page
from dispatch_api.process import tls
from dispatch_api.process.console import CannotStart
from geo.arrivals import Arrivals
from geo.duty import UNAVAILABLE, DutyBook
from geo.positions import Writer

log = structlog.get_logger()

PROTOCOLS = ("teltonika", "gt06", "h02", "nmea", "cot")
BACKLOG = 2048
STOP_WITHIN_S = 5.0
RETRY_S = 2.0


def run(settings: Settings) -> int:
    """Serve trackers until SIGTERM or SIGINT; the exit code: 1 when a port cannot be had."""
    logs.configure(settings.log_level)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.gateway_connections + 256
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(hard, wanted), hard)
        )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(settings if settings.ingest_database_url else with_database(settings)))


async def _serve(settings: Settings) -> int:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    while not stopping.is_set():
        try:
            async with gateway(settings):
                await stopping.wait()
        except CannotStart as error:
            sys.stderr.write(f"The gateway cannot start. {error}\n")
            return 1
        except UNAVAILABLE as error:  # the database is not up yet
            log.warning("database_away", error=type(error).__name__)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), RETRY_S)
    log.info("gateway_stopped")
    return 0


@asynccontextmanager
async def gateway(settings: Settings) -> AsyncIterator[Lines]:
    """The gateway, serving; raises CannotStart when it has no port or database. What is begun is answered at its end.

    It tells no screen: fixes are stored by the writer the server has as well, and every server's hub reads the units'
    latest positions each second, whoever stored them.
    """
    url = settings.ingest_database_url
    if url is None:
        raise CannotStart("OUTRIDER_INGEST_DATABASE_URL is not set.")
    lines = Lines(settings.gateway_connections)
    duty = DutyBook(url)
    measures = Measures()
    commits = Commits(measures)
    writer = Writer(url, duty, on_latest=lambda _: None, on_commit=commits)
    commits.watch(writer)
    measures.show(lambda: _families(lines))
    async with duty, writer, Arrivals(url, duty) as arrivals, Page(settings.data_dir, "gateway", measures.registry):
        desk = Desk(settings, duty, writer, arrivals)
        async with _closed_last(lines), _trackers(desk, lines), _cot(desk, lines), _mqtt(desk, measures):
            watching = asyncio.create_task(lines.watch(), name="lines")
            listening = {name: getattr(settings, f"{name}_port") for name in PROTOCOLS}
            log.info("gateway_started", host=settings.host, mqtt=settings.mqtt_host, **listening)
            try:
                yield lines
            finally:
                watching.cancel()


@asynccontextmanager
async def _mqtt(desk: Desk, measures: Measures) -> AsyncIterator[None]:
    """The phones behind a broker, when one is named. Raises CannotStart."""
    if not desk.settings.mqtt_host:
        yield
        return
    async with Subscriber(desk).running() as subscriber:
        measures.show(lambda: _broker_families(subscriber))
        yield


def _broker_families(subscriber: Subscriber) -> Iterator[Metric]:
    yield GaugeMetricFamily("outrider_mqtt_connected", "1 while the broker is connected.", int(subscriber.connected))
    yield CounterMetricFamily("outrider_mqtt_messages", "Messages taken from the broker.", subscriber.messages)


def _families(lines: Lines) -> Iterator[Metric]:
    yield GaugeMetricFamily("outrider_gateway_connections", "Open connections of trackers.", len(lines))
    yield CounterMetricFamily("outrider_gateway_cut", "Connections cut because they were silent or slow.", lines.cut)


@asynccontextmanager
async def _closed_last(lines: Lines) -> AsyncIterator[None]:
    """Once nobody new is let in, what is being stored is answered."""
    try:
        yield
    finally:
        await lines.close(STOP_WITHIN_S)


@asynccontextmanager
async def _listening(settings: Settings, port: int, line: Callable[[], asyncio.BaseProtocol]) -> AsyncIterator[None]:
    """A TCP port whose connections are such lines; none for port 0. Raises CannotStart."""
    if not port:
        yield
        return
    try:
        server = await asyncio.get_running_loop().create_server(line, settings.host, port, backlog=BACKLOG)
    except OSError as error:
        raise CannotStart(f"Port {port} on {settings.host}: {error.strerror or error}.") from error
    try:
        yield
    finally:
        server.close()


@asynccontextmanager
async def _both(
    settings: Settings,
    port: int,
    line: Callable[[], asyncio.BaseProtocol],
    datagrams: Callable[[], Datagrams],
) -> AsyncIterator[None]:
    """The same with the UDP port of that number."""
    if not port:
        yield
        return
    async with _listening(settings, port, line):
        try:
            transport, taking = await asyncio.get_running_loop().create_datagram_endpoint(
                datagrams, local_addr=(settings.host, port)
            )
        except OSError as error:
            raise CannotStart(f"Port {port} on {settings.host}: {error.strerror or error}.") from error
        try:
            yield
        finally:
            await taking.finish()
            transport.close()


@asynccontextmanager
async def _trackers(desk: Desk, lines: Lines) -> AsyncIterator[None]:
    """The ports of trackers that say nothing but where they are."""
    settings, statuses = desk.settings, Statuses()
    secure = _tls(settings, "OUTRIDER_TELTONIKA_TLS") if settings.teltonika_tls and settings.teltonika_port else None
    teltonika = _greeted(lambda: TeltonikaLine(desk, lines), lines, secure)
    ports: list[tuple[int, Callable[[], asyncio.BaseProtocol], Callable[[], Datagrams]]] = [
        (settings.teltonika_port, teltonika, lambda: TeltonikaDatagrams(desk)),
        (settings.gt06_port, lambda: Gt06Line(desk, lines), lambda: Gt06Datagrams(desk)),
        (settings.h02_port, lambda: H02Line(desk, lines, statuses), lambda: H02Datagrams(desk, statuses)),
    ]
    async with contextlib.AsyncExitStack() as begun:
        await begun.enter_async_context(_listening(settings, settings.nmea_port, lambda: NmeaLine(desk, lines)))
        for port in ports:
            await begun.enter_async_context(_both(settings, *port))
        yield


@asynccontextmanager
async def _cot(desk: Desk, lines: Lines) -> AsyncIterator[None]:
    settings = desk.settings
    if not settings.cot_port:
        yield
        return
    if settings.database_url is None:
        raise CannotStart("OUTRIDER_COT_PORT needs OUTRIDER_DATABASE_URL: tablets are shown tasks.")
    secure = _mutual(settings, settings.cot_client_ca) if settings.cot_client_ca else None
    async with CotView(settings.database_url) as view:
        tablet = partial(CotLine, desk, lines, view.show, mutual=secure is not None)
        async with _listening(settings, settings.cot_port, _greeted(tablet, lines, secure)):
            yield


def _greeted(
    line: Callable[[], Line], lines: Lines, secure: ssl.SSLContext | None
) -> Callable[[], asyncio.BaseProtocol]:
    """The line, behind a TLS handshake when there is to be one."""
    return partial(Greeting, line, lines, secure) if secure else line


def _mutual(settings: Settings, authority: Path) -> ssl.SSLContext:
    """TLS for those alone who have a certificate of this authority."""
    secure = _tls(settings, "OUTRIDER_COT_CLIENT_CA")
    secure.verify_mode = ssl.CERT_REQUIRED
    try:
        secure.load_verify_locations(authority)
    except (OSError, ssl.SSLError) as error:
        raise CannotStart(f"OUTRIDER_COT_CLIENT_CA={authority} cannot be used: {error}.") from error
    return secure


def _tls(settings: Settings, why: str) -> ssl.SSLContext:
    for problem in tls.problems(settings.tls_cert, settings.tls_key):
        raise CannotStart(problem)
    if settings.tls_cert is None:
        raise CannotStart(f"{why} needs OUTRIDER_TLS_CERT and OUTRIDER_TLS_KEY.")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.tls_cert, settings.tls_key)
    return context
