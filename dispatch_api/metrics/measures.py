"""What one process counts while it works. Nothing here is named after a person, a unit or a device."""

import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from geo.positions import Writer

disable_created_metrics()  # type: ignore[no-untyped-call]

COMMIT_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
REQUEST_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
UNKNOWN_ROUTE = "none"


class Measures:
    """The registry of one process, with its memory, processor time and open files in it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)

    def show(self, families: Callable[[], Iterator[Metric]]) -> None:
        """Ask this function for further families whenever somebody reads."""
        self.registry.register(_Asked(families))


class _Asked(Collector):
    def __init__(self, families: Callable[[], Iterator[Metric]]) -> None:
        self._families = families

    def describe(self) -> list[Metric]:
        """Nothing beforehand: what is shown may not be there yet."""
        return []

    def collect(self) -> Iterator[Metric]:
        """What there is now."""
        return self._families()


class Commits:
    """How long the writer of positions takes; given to it as `on_commit`."""

    def __init__(self, measures: Measures) -> None:
        self._measures = measures
        self._commit = Histogram(
            "outrider_commit_seconds", "One commit of positions, as the writer waited for it.",
            buckets=COMMIT_BUCKETS_S, registry=measures.registry,
        )  # fmt: skip
        self._delivery = Histogram(
            "outrider_delivery_seconds", "From receipt to commit, of the delivery of each commit that waited longest.",
            buckets=COMMIT_BUCKETS_S, registry=measures.registry,
        )  # fmt: skip

    def __call__(self, commit_s: float, delivery_s: float) -> None:
        """A commit took so long, and its oldest delivery waited so long in all."""
        self._commit.observe(commit_s)
        self._delivery.observe(max(delivery_s, 0.0))

    def watch(self, writer: Writer) -> None:
        """Show what became of the fixes this writer was given, and what waits in it."""
        self._measures.show(lambda: _ingest(writer))


def _ingest(writer: Writer) -> Iterator[Metric]:
    accepted, duplicates, off_duty, suspect, rejected = writer.totals()
    fixes = CounterMetricFamily("outrider_fixes", "Fixes by what became of them.", labels=["result"])
    results = {"accepted": accepted, "duplicate": duplicates, "off_duty": off_duty, "rejected": rejected}
    for result, n in results.items():
        fixes.add_metric([result], n)
    yield fixes
    yield CounterMetricFamily("outrider_fixes_suspect", "Fixes accepted, but implausible.", suspect)
    yield GaugeMetricFamily("outrider_writer_queue_rows", "Fixes that wait for their commit.", writer.queued_rows)


class Requests:
    """How long requests take, by the route's template: an address itself may hold a name or a key."""

    def __init__(self, measures: Measures) -> None:
        self._seconds = Histogram(
            "outrider_request_seconds", "Requests but for plain deliveries of positions and sockets.",
            ["method", "route", "status"], buckets=REQUEST_BUCKETS_S, registry=measures.registry,
        )  # fmt: skip

    def answered(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """A request was answered; `route` is None where there is none."""
        kind = method if method in METHODS else "other"
        self._seconds.labels(kind, route or UNKNOWN_ROUTE, str(status)).observe(seconds)


class Rounds:
    """The rounds of the worker's loops."""

    def __init__(self, measures: Measures, every_s: dict[str, float]) -> None:
        """`every_s` names the loops and the seconds between two of their rounds."""
        kept = measures.registry
        self._last = Gauge("outrider_loop_last_success_timestamp_seconds", "End of the last good round; before the "
                           "first, the start of the process.", ["loop"], registry=kept)  # fmt: skip
        self._took = Gauge("outrider_loop_last_duration_seconds", "The last good round.", ["loop"], registry=kept)
        self._failed = Counter("outrider_loop_failures", "Rounds that failed.", ["loop"], registry=kept)
        every = Gauge("outrider_loop_interval_seconds", "Pause between two rounds.", ["loop"], registry=kept)
        for name, seconds in every_s.items():
            every.labels(name).set(seconds)
            for measure in (self._last, self._took, self._failed):
                measure.labels(name)
            self._last.labels(name).set(time.time())

    def went_well(self, loop: str, seconds: float) -> None:
        """A round ended now, after so long."""
        self._last.labels(loop).set(time.time())
        self._took.labels(loop).set(seconds)

    def failed(self, loop: str) -> None:
        """A round failed."""
        self._failed.labels(loop).inc()
