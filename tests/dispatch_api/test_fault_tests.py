"""The parts of the fault tests that decide: what counts as kept, as found out, as flushed; and the line that is cut."""

import asyncio

import pytest

from loadtests.faults.__main__ import Result, table
from loadtests.faults.fault import Fault, Figure, Mutant
from loadtests.faults.flushed import flushes
from loadtests.faults.proxy import Proxy
from loadtests.faults.registry import FAULTS

FAULT = Fault("F0", "nothing is lost", "", lambda _: [], {"loses": Mutant("it loses", "lost")})
KEPT, LOST, LATE = Figure("lost", 0, most=0), Figure("lost", 3, most=0), Figure("late", 9, "s", most=5)


@pytest.mark.parametrize(
    ("mutant", "figures", "broken", "good"),
    [
        (None, [KEPT], "", True),
        (None, [KEPT, LATE], "", False),
        (None, [], "it broke off", False),
        ("loses", [LOST], "", True),
        ("loses", [KEPT, LATE], "", False),  # a slow machine finds nothing out
        ("loses", [], "it broke off", False),
    ],
)
def test_what_is_kept_and_what_is_found_out(mutant: str | None, figures: list[Figure], broken: str, good: bool) -> None:
    result = Result(FAULT, mutant, figures, broken, 1.0)
    assert result.good is good
    assert ("**missed**" in "".join(table([result]))) is (mutant is None and LATE in figures)


def test_every_fault_test_has_a_mutant_and_says_what_is_smaller() -> None:
    wanted = {f"F{n}" for n in (*range(1, 9), 10, 11, 13, 14, 16, 17, 18, 19)}
    assert wanted <= FAULTS.keys()
    for fault in FAULTS.values():
        assert fault.mutants, fault.name
        assert all(mutant.does and mutant.shows_in for mutant in fault.mutants.values())


def test_flushes_are_those_of_the_log_that_are_done() -> None:
    trace = """
12 1700000000.100000 fdatasync(5</var/pg/pg_wal/000000010000000000000001>) = 0 <0.002000>
13 1700000000.200000 fdatasync(7</var/pg/base/1/2>) = 0 <0.002000>
14 1700000000.300000 fdatasync(5</var/pg/pg_wal/000000010000000000000001> <unfinished ...>
13 1700000000.310000 fdatasync(7</var/pg/base/1/2> <unfinished ...>
13 1700000000.320000 <... fdatasync resumed>) = 0 <0.010000>
14 1700000000.350000 <... fdatasync resumed>) = 0 <0.050000>
15 1700000000.400000 fdatasync(5</var/pg/pg_wal/000000010000000000000001>) = -1 EIO (Input/output error) <0.001>
"""
    assert flushes(trace) == pytest.approx([1700000000.102, 1700000000.35])


async def test_a_cut_line_says_nothing_and_goes_on_where_it_was() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, Proxy(server.sockets[0].getsockname()[1]).running() as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"before\n")
        assert await reader.readline() == b"before\n"
        proxy.turn("blackhole")
        writer.write(b"meanwhile\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readline(), 0.2)
        proxy.turn("pass")
        assert await asyncio.wait_for(reader.readline(), 5) == b"meanwhile\n"
        proxy.turn("rst")
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(reader.readexactly(1), 5)
