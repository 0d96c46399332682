"""What was acknowledged outlives kill -9 of the server and of the database, and a server that lies is found out.

The long form is `make faults`; see loadtests/faults.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.exc import InternalError

from core.errors import Overloaded
from dispatch_api.errors import from_database
from dispatch_api.process.cluster import Cluster
from loadtests.faults import trial
from loadtests.faults.checker import Found
from loadtests.faults.killed import report
from loadtests.faults.ledger import Ledger, Op, Promises
from loadtests.faults.stage import migrate
from loadtests.faults.trial import Plan


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A migrated database of this file's own, because its processes are killed."""
    with Cluster.temporary() as made:
        migrate(made)
        yield made


def short(**how: object) -> Plan:
    return Plan(**({"seed": 7, "acks": 500, "pauses_s": (0.5, 1.0), "worker": False} | how))  # type: ignore[arg-type]


def test_nothing_is_lost_when_the_server_is_killed(cluster: Cluster) -> None:
    outcome = trial.run(short(fault="F1", kills=2), cluster, print)
    assert outcome.kept, report(outcome)
    assert outcome.acked >= 500
    assert len(outcome.blows) == 2
    assert outcome.answers.get("none", 0) >= 2, "no client noticed"
    assert {"fixes", "violation", "task", "step", "cursor"} == set(outcome.kinds)


def test_nothing_is_lost_when_the_database_is_killed(cluster: Cluster) -> None:
    outcome = trial.run(short(fault="F2", kills=1), cluster, print)
    assert outcome.kept, report(outcome)
    assert outcome.acked >= 500
    assert outcome.answers["503"] > 0, "no client noticed"


def test_a_server_that_answers_before_it_commits_is_found_out(cluster: Cluster) -> None:
    outcome = trial.run(short(fault="F1", kills=1, acks=100, mutant="ack_before_commit"), cluster, print)
    assert not outcome.kept
    assert outcome.found.lost
    assert all(line.startswith("fixes ") for line in outcome.found.lost), "only positions are answered too early"


def test_the_checker_tells_lost_doubled_and_made_up_apart(tmp_path: Path) -> None:
    violations = {name: Op("violation", (name,)) for name in ("kept", "lost", "perhaps", "doubled")}
    delivery = Op("fixes", ("device", "1", "2"))
    path = tmp_path / "ledger"

    async def write() -> int:
        ledger = Ledger(path)
        for op in (*violations.values(), delivery):
            ledger.begin(op)
        promised = [op for name, op in violations.items() if name != "perhaps"]
        await asyncio.gather(*map(ledger.ack, (*promised, delivery)))
        ledger.close()
        return ledger.acked

    assert asyncio.run(write()) == 4
    promises, found = Promises(path), Found()
    found.compare("violation", promises, {("kept",): 1, ("doubled",): 2, ("stranger",): 1})
    found.compare("fixes", promises, {("device", "2"): 1})
    assert found == Found(
        lost=["violation lost", "fixes device 1"],
        doubled=["violation doubled: 2 times"],
        foreign=["violation stranger"],
    )


def test_a_database_that_goes_in_mid_statement_is_no_fault_of_ours() -> None:
    """Seen under F2: the driver then says that it is confused, and nothing of a connection."""
    confused = asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")
    dialect = PGDialect_asyncpg.import_dbapi()
    adapted = dialect.InternalClientError(str(confused))
    adapted.__cause__ = confused
    assert isinstance(from_database(InternalError("SELECT 1", {}, adapted)), Overloaded)
    fault_of_theirs = dialect.InternalServerError("cache lookup failed")
    assert from_database(InternalError("SELECT 1", {}, fault_of_theirs)) is None
