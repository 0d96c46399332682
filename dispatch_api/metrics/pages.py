"""The measures of all processes of one machine, as one answer.

Each process leaves its own as a file in the data folder every few seconds; whichever server is asked reads the others'.
"""

import asyncio
import contextlib
import fcntl
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

log = structlog.get_logger()

WRITE_EVERY_S = 10.0
STALE_AFTER_S = 60.0
"""An older page is left by a process that was killed: its last figures would look like present ones."""


class Page:
    """One process's page among the others'; entered while the process works."""

    def __init__(self, data_dir: Path, kind: str, registry: CollectorRegistry) -> None:
        """`kind` is what the process is: server, worker, gateway. Of several the second becomes `server-2`."""
        self._folder, self._kind, self._registry = data_dir / "metrics", kind, registry
        self.name = kind

    async def __aenter__(self) -> Self:
        with contextlib.ExitStack() as begun:
            try:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                self.name = _take_name(self._folder, self._kind, begun)
            except OSError as error:  # a full disk is no reason not to serve
                log.warning("metrics_page_failed", error=error.strerror)
            self._lock = begun.pop_all()
        self._file = self._folder / f"{self.name}.prom"
        self._writing = asyncio.create_task(self._keep_writing(), name="metrics")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writing.cancel()
        await asyncio.gather(self._writing, return_exceptions=True)
        with contextlib.suppress(OSError):
            self._file.unlink()
        self._lock.close()

    async def _keep_writing(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._write, list(self._registry.collect()))
            except OSError as error:  # the disk is full: work goes on without a page
                log.warning("metrics_page_failed", error=error.strerror)
            await asyncio.sleep(WRITE_EVERY_S)

    def _write(self, families: list[Metric]) -> None:
        new = self._file.with_suffix(".new")
        new.write_bytes(generate_latest(_Found(families)))
        new.replace(self._file)

    def _others(self) -> Iterator[tuple[str, list[Metric]]]:
        for file in sorted(self._folder.glob("*.prom")):
            with contextlib.suppress(OSError, ValueError):  # it ended just now, or broke off
                if file.stem != self.name and time.time() - file.stat().st_mtime < STALE_AFTER_S:
                    yield file.stem, list(text_string_to_metric_families(file.read_text()))

    async def whole(self, shared: Iterable[Metric]) -> bytes:
        """Everybody's measures, each with the name of its process, and those that belong to none."""
        # What is counted belongs to the loop's thread; making text of it takes milliseconds and does not.
        return await asyncio.to_thread(self._text, list(self._registry.collect()), shared)

    def _text(self, own: list[Metric], shared: Iterable[Metric]) -> bytes:
        found = {family.name: family for family in shared}
        for name, families in [(self.name, own), *self._others()]:
            for family in families:
                whole = found.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    whole.samples.append(sample._replace(labels={"process": name, **sample.labels}))
        return generate_latest(_Found(list(found.values())))


class _Found(CollectorRegistry):
    """Families already collected, as a registry."""

    def __init__(self, families: list[Metric]) -> None:
        super().__init__()
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """The families."""
        return iter(self._families)


def _take_name(folder: Path, kind: str, held: contextlib.ExitStack) -> str:
    """The first name of this kind that no living process holds; `held` holds it from now on."""
    number = 1
    while True:
        name = kind if number == 1 else f"{kind}-{number}"
        file = (folder / f"{name}.lock").open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            number += 1
        else:
            held.enter_context(file)
            return name
