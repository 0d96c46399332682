"""The schema comes and goes by migrations alone; days of positions come on demand and go by when they were received."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from core.ids import new_id
from tests import module_wide
from tests.conftest import migrate
from tests.helpers import Database

OURS = """
SELECT c.relkind::text || ' ' || c.relname AS name FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S') AND c.relname <> 'alembic_version'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
UNION ALL SELECT 'index ' || indexdef FROM pg_indexes
WHERE schemaname = 'public' AND tablename NOT IN ('alembic_version', 'spatial_ref_sys')
UNION ALL SELECT 'function ' || p.proname FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
UNION ALL SELECT 'policy ' || tablename || ' ' || policyname || ' ' || coalesce(qual, '') FROM pg_policies
UNION ALL SELECT 'grant ' || grantee || ' ' || table_name || ' ' || privilege_type
FROM information_schema.role_table_grants WHERE grantee IN ('outrider_app', 'outrider_ingest')
ORDER BY 1
"""

database = module_wide.database


async def fetched(database: Database, query: str, *values: Any) -> list[asyncpg.Record]:
    owner = await database.owner()
    try:
        return list(await owner.fetch(query, *values))
    finally:
        await owner.close()


async def test_down_to_nothing_and_up_again(database: Database) -> None:
    """The template came from an empty database to head; so head is compared with what a second way up gives."""
    head = await fetched(database, OURS)
    assert len(head) > 100
    migrate(database, "check")
    migrate(database, "downgrade", "base")
    assert await fetched(database, OURS) == []
    migrate(database, "upgrade", "head")
    assert await fetched(database, OURS) == head


async def as_role(database: Database, role: str) -> asyncpg.Connection:
    return await asyncpg.connect(host=database.host, port=database.port, user=role, database=database.name)


async def test_days_come_on_demand_and_go_by_when_they_were_received(database: Database) -> None:
    now = datetime.now(UTC)
    fixed, long_ago = now - timedelta(days=150), now - timedelta(days=120)
    ingest, app = await as_role(database, "outrider_ingest"), await as_role(database, "outrider_app")
    store = (
        "INSERT INTO position (device_id, fix_at, received_at, unit_id, point)"
        " VALUES ($1, $2, $3, $4, ST_SetSRID(ST_MakePoint(25, 54), 4326))"
    )
    with pytest.raises(asyncpg.CheckViolationError):  # no day, no row: nothing lands in a catch-all
        await ingest.execute(store, new_id(), fixed, now, new_id())
    for day in (fixed, fixed - timedelta(days=1), fixed):  # asking twice is no fault
        await ingest.execute("SELECT ensure_position_day($1)", day.date())
    await ingest.execute(store, new_id(), fixed, now, new_id())  # an old buffer that came today
    await ingest.execute(store, new_id(), fixed - timedelta(days=1), long_ago, new_id())
    gone = (fixed - timedelta(days=1)).date()
    erase = "SELECT stands, erased, later FROM erase_position_day($1, $2, '{}', '{}', '{}', '{}', '{}', '{}')"
    assert tuple(await app.fetchrow(erase, gone, now - timedelta(days=90))) == (False, 0, 0)  # minutes first
    await app.execute("INSERT INTO patrol_day (day, fixes, inserted, counted_at) VALUES ($1, 1, 1, now())", gone)
    assert tuple(await app.fetchrow(erase, gone, now - timedelta(days=90))) == (True, 1, 0)
    assert tuple(await app.fetchrow(erase, fixed.date(), now - timedelta(days=90))) == (True, 0, 1)
    with pytest.raises(asyncpg.RaiseError, match="a day at least"):
        await app.fetchrow(erase, fixed.date(), now)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute("SELECT ensure_position_day($1)", fixed.date())
    for connection in (ingest, app):
        await connection.close()
    assert [row["fix_at"] for row in await fetched(database, "SELECT fix_at FROM position")] == [fixed]


PLAIN_OWNER = (
    "CREATE ROLE {role} NOSUPERUSER NOBYPASSRLS CREATEROLE",
    'GRANT SET ON PARAMETER "app.sees" TO {role}',
    "ALTER DATABASE {name} OWNER TO {role}",
)
"""What docs/operate.md asks for when the owner is no superuser; PostGIS is made by one."""


async def test_migrations_see_all_rows_also_when_their_owner_is_no_superuser(template: Database) -> None:
    """Policies are forced on the owner as well: what a migration changes must be shown to it."""
    made = Database(f"{template.name}_plain", template.host, template.port)
    root, role = await template.owner(), f"plain_{template.name}"
    await root.execute(f"CREATE DATABASE {made.name}")
    try:
        owner = await made.owner()
        await owner.execute("CREATE EXTENSION postgis")
        for statement in PLAIN_OWNER:
            await owner.execute(statement.format(role=role, name=made.name))
        await root.execute(f"ALTER ROLE outrider_owner IN DATABASE {made.name} SET role = '{role}'")
        migrate(made, "upgrade", "head")
        await owner.execute(
            "WITH u AS (INSERT INTO user_account (id, login, name, roles, version, created_at, updated_at)"
            " VALUES (gen_random_uuid(), 'o', 'o', '{officer}', 1, now(), now()) RETURNING id),"
            " t AS (INSERT INTO task (id, kind, priority, status, version, title, instruction, reason_code,"
            " required_capabilities, exercise, late, created_at, updated_at) VALUES (gen_random_uuid(), 'other', 'P3',"
            " 'on_scene', 1, 't', '', 'random', '{}', false, false, now(), now()) RETURNING id),"
            " a AS (INSERT INTO alert (id, kind, task_id, raised_at, reached, called, updated_at)"
            " SELECT gen_random_uuid(), 'panic', id, now(), 'messages', '{}', now() FROM t)"
            " INSERT INTO stop_form (id, task_id, recorded_by, recorded_by_name, recorded_at, first_stopped_at, point,"
            " reason_code, result, exercise, attachments, body, warnings) SELECT gen_random_uuid(), t.id, u.id, 'o',"
            " now(), now(), ST_SetSRID(ST_MakePoint(25, 54), 4326), 'random', 'nothing_found', false, 0, '{}', '[]'"
            " FROM t, u"
        )
        await owner.execute(
            "INSERT INTO unknown_device (protocol, identifier, first_seen, last_seen, n, address, forwarder_id)"
            " VALUES ('traccar', 'x', now(), now(), 1, '', gen_random_uuid())"
        )
        migrate(made, "downgrade", "0022")
        assert await owner.fetchval("SELECT reached FROM alert") == "supervisors"
        assert await owner.fetchval("SELECT count(*) FROM unknown_device") == 0
        migrate(made, "upgrade", "head")
        assert await owner.fetchval("SELECT stop_forms FROM task") == 1
        forced = "SELECT bool_and(relforcerowsecurity) FROM pg_class WHERE relname = ANY($1)"
        assert await owner.fetchval(forced, ["task", "stop_form", "alert", "unknown_device"])
        await owner.close()
    finally:
        await root.execute(f"DROP DATABASE {made.name} WITH (FORCE)")
        await root.execute(f'REVOKE ALL ON PARAMETER "app.sees" FROM {role}')
        await root.execute(f"DROP ROLE {role}")
        await root.close()
