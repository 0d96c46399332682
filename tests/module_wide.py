"""Fixtures that a whole test file shares instead of having its own in each test.

A file takes them by name: `database, server = module_wide.database, module_wide.server`.
"""

from collections.abc import Iterator

import pytest

from tests.conftest import cloned
from tests.dispatch_api.broker import Broker
from tests.helpers import Database, Server


@pytest.fixture(scope="module")
def database(template: Database) -> Iterator[Database]:
    """One database for all tests of a file: each has people, units and devices of its own."""
    with cloned(template) as made:
        yield made


@pytest.fixture(scope="module")
def server(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One real server for all tests of a file."""
    running = Server(database, tmp_path_factory.mktemp("server")).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One real Mosquitto with the shipped configuration for all tests of a file."""
    made = Broker(tmp_path_factory.mktemp("broker"))
    yield made
    made.kill()
