"""The messages of the sockets: what is put together from text is what the contract names, and applying it is safe."""

import contextlib
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch_api.live import wire
from dispatch_api.live.fleet import Box, Fleet, Standing
from geo.delivery import Latest
from mobile_contract.messages import COLUMNS, Hello, Snapshot, Units, UnitTable, View, parse_to_client, parse_to_server

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOTHING = dict.fromkeys(("tasks", "notices", "alerts", "handovers"), "[]")


def fix(unit_id: UUID, seconds: float, lon: float, lat: float, **fields: float | None) -> Latest:
    readings = dict.fromkeys(("accuracy_m", "speed_mps", "heading_deg", "battery_pct")) | fields
    at = NOW + timedelta(seconds=seconds)
    return Latest(unit_id=unit_id, device_id=unit_id, fix_at=at, received_at=at, lon=lon, lat=lat, **readings)


def snapshot_of(fleet: Fleet, box: Box | None) -> Snapshot:
    message = parse_to_client(wire.snapshot(NOW, fleet.version, fleet.rows(box), **NOTHING))
    assert isinstance(message, Snapshot)
    return message


def rows_of(table: UnitTable) -> dict[UUID, Any]:
    assert tuple(table.columns) == COLUMNS
    return {row[0]: row for row in table.rows}


def apply(shown: dict[UUID, Any], text: str | None) -> None:
    if text is None:
        return
    message = parse_to_client(text)
    assert isinstance(message, Units)
    shown.update(rows_of(message))
    for unit_id in message.gone:
        shown.pop(unit_id, None)


@pytest.mark.parametrize("seed", range(40))
def test_snapshot_and_what_follows_equal_a_fresh_snapshot(seed: int) -> None:
    """Units move, come on duty and go off it; views keep up, lag by several ticks, turn, and hear things twice."""
    chance = random.Random(seed)
    fleet, ids = Fleet(), [uuid4() for _ in range(12)]
    views: list[dict[str, Any]] = []

    def box() -> Box | None:
        west, south = chance.uniform(20, 26), chance.uniform(53, 56)
        return chance.choice([None, (west, south, west + chance.uniform(0.5, 4), south + chance.uniform(0.5, 3))])

    for second in range(60):
        for unit_id in chance.sample(ids, 4):
            at = second + chance.uniform(-3, 1)  # some are older than what is known
            fleet.stage_fixes([fix(unit_id, at, chance.uniform(20, 27), chance.uniform(53, 57))])
        for unit_id in chance.sample(ids, 2):
            fleet.stage_standings([Standing(unit_id, chance.choice(["available", "en_route"]), chance.random() < 0.7)])
        if chance.random() < 0.3:
            wanted = box()
            shown = rows_of(snapshot_of(fleet, wanted).units)
            views.append({"box": wanted, "version": fleet.version, "shown": shown})
        fleet.tick()
        for view in views:
            if chance.random() < 0.3:
                continue  # a slow one skips ticks
            if chance.random() < 0.2:
                wanted = box()
                text: str | None = fleet.turned(NOW, view["version"], wanted, view["box"])
                view["box"] = wanted
            else:
                text = fleet.frame(NOW, view["version"], view["box"])
            view["version"] = fleet.version
            apply(view["shown"], text)
            if chance.random() < 0.3:
                apply(view["shown"], text)
            assert view["shown"] == rows_of(snapshot_of(fleet, view["box"]).units)


def test_views_alike_share_one_text_and_quiet_views_get_none() -> None:
    fleet, unit_id = Fleet(), uuid4()
    fleet.stage_standings([Standing(unit_id, "available", True)])
    fleet.stage_fixes([fix(unit_id, 0, 25, 55)])
    assert fleet.tick()
    here, elsewhere = (24.0, 54.0, 26.0, 56.0), (20.0, 53.0, 21.0, 54.0)
    assert fleet.frame(NOW, 0, here) is fleet.frame(NOW, 0, here)
    assert fleet.frame(NOW, 0, elsewhere) is None
    assert not fleet.tick()
    fleet.stage_fixes([fix(unit_id, -5, 20.5, 53.5)])  # older: the marker never moves back
    assert not fleet.tick()


def test_a_marker_goes_back_only_when_the_database_says_so() -> None:
    fleet, unit_id = Fleet(), uuid4()
    fleet.stage_standings([Standing(unit_id, "available", True)])
    good, false = fix(unit_id, 0, 25, 55), fix(unit_id, 60, 20, 54)
    fleet.stage_fixes([good, false])
    fleet.tick()
    assert not fleet.lacks(unit_id, good.fix_at)
    back = NOW + timedelta(seconds=70)
    assert fleet.lacks(unit_id, good.fix_at, back)
    fleet.stage_stored([good], {unit_id: back})
    fleet.stage_fixes([fix(unit_id, 30, 21, 54)])  # what came late meanwhile is newer than what it went back to
    assert fleet.tick()
    assert not fleet.lacks(unit_id, good.fix_at, back), "once"
    fleet.stage_stored([good], {unit_id: back + timedelta(seconds=5)})
    assert fleet.tick()
    assert [row[1] for row in rows_of(snapshot_of(fleet, None).units).values()] == [25]


def test_a_marker_never_shows_who_is_off_duty() -> None:
    fleet, unit_id = Fleet(), uuid4()
    fleet.stage_fixes([fix(unit_id, 0, 25, 55)])
    assert not fleet.tick(), "a fix alone does not say that its unit is on duty"
    assert fleet.rows(None) == []
    fleet.stage_standings([Standing(unit_id, "available", True)])
    fleet.tick()
    assert len(fleet.rows(None)) == 1
    fleet.stage_standings([Standing(unit_id, "off_duty", False)])
    fleet.tick()
    assert fleet.rows(None) == []
    fleet.stage_fixes([fix(unit_id, 9, 26, 55)])
    assert not fleet.tick()


def test_every_short_message_reads_as_the_contract_says() -> None:
    for text in (
        wire.welcome(), wire.pong(2**53), wire.beat(NOW), wire.resync("behind"), wire.inbox([]),
        wire.bye(4401, 'a "quoted" \\ reason\n'), wire.units(NOW, 3, [], [wire.text(uuid4())]),
    ):  # fmt: skip
        parse_to_client(text)


def test_rows_keep_what_a_tracker_can_know() -> None:
    unit_id = uuid4()
    row = wire.row(fix(unit_id, 0.1234, 25.123456789, 54.1, speed_mps=13.399999618530273, heading_deg=359.97), "break")
    table = UnitTable(columns=list(COLUMNS), rows=[])
    shown = snapshot_text(row).units
    (unit,) = shown.units()
    assert (unit.lon, unit.lat, unit.speed_mps, unit.heading_deg) == (25.123457, 54.1, 13.4, 359.97)
    assert (unit.accuracy_m, unit.status, unit.suspect) == (None, "break", False)
    assert unit.fix_at == NOW + timedelta(milliseconds=123)
    assert table.columns == shown.columns


def snapshot_text(row: str) -> Snapshot:
    message = parse_to_client(wire.snapshot(NOW, 1, [row], **NOTHING))
    assert isinstance(message, Snapshot)
    return message


def test_what_clients_send_may_hold_more_than_we_know() -> None:
    hello = parse_to_server('{"kind":"hello","token":"os_x","bbox":[20,53,27,57],"app":"next","after":3}')
    assert isinstance(hello, Hello)
    assert (hello.after, hello.bbox) == (3, (20, 53, 27, 57))
    view = parse_to_server('{"kind":"view"}')
    assert isinstance(view, View)
    assert view.bbox is None


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "{}", '{"kind":"hello"', '{"kind":"beat"}', '{"kind":"view","bbox":[1,2,3]}',
        '{"kind":"view","bbox":[3,2,1,4]}', '{"kind":"view","bbox":[0,0,0,0]}', '{"kind":"view","bbox":[0,0,1,91]}',
        '{"kind":"view","bbox":[NaN,0,1,1]}', '{"kind":"view","bbox":[0,0,1e999,1]}', '{"kind":"ack"}',
        '{"kind":"ack","upto":-1}', '{"kind":"ack","upto":9223372036854775808}', '{"kind":"ack","upto":1.5}',
        '{"kind":"ping","n":"x"}', '{"kind":"hello","token":""}', '{"kind":"hello","install_id":"x"}',
        '{"kind":"hello","after":-1}', "[" * 10_000, '{"kind":"hello","token":"\\ud800"}',
    ],
)  # fmt: skip
def test_bad_messages_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_to_server(text)


@given(st.text(max_size=200))
def test_no_text_breaks_the_parser(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_to_server(text)
