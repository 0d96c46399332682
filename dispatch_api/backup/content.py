"""What a database holds, so that a copy can be compared: rows of each table, and every rule that guards them."""

import re

import asyncpg
import msgspec

_OURS = (
    "c.relnamespace = 'public'::regnamespace AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid"
    " AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')"
)
_TABLES = f"SELECT c.relname FROM pg_class c WHERE c.relkind = 'r' AND {_OURS} ORDER BY 1"  # noqa: S608
_RULES = f"""
SELECT 'table ' || c.relname, concat_ws(' ', c.relkind, c.relrowsecurity, c.relforcerowsecurity,
    pg_get_expr(c.relpartbound, c.oid))
  FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND {_OURS}
UNION ALL
SELECT 'grant ' || c.relname || ' ' || pg_get_userbyid(a.grantee) || ' ' || a.privilege_type, ''
  FROM pg_class c, aclexplode(c.relacl) a WHERE a.grantee NOT IN (0, c.relowner) AND {_OURS}
UNION ALL
SELECT 'grant ' || c.relname || '.' || t.attname || ' ' || pg_get_userbyid(a.grantee) || ' ' || a.privilege_type, ''
  FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a WHERE {_OURS}
UNION ALL
SELECT 'policy ' || tablename || ' ' || policyname, concat_ws(' ', permissive, roles, cmd, qual, with_check)
  FROM pg_policies WHERE schemaname = 'public'
UNION ALL
SELECT 'index ' || c.relname || ' ' || i.indexrelid::regclass, pg_get_indexdef(i.indexrelid)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE i.indisvalid AND {_OURS}
UNION ALL
SELECT 'constraint ' || c.relname || ' ' || k.conname, pg_get_constraintdef(k.oid)
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE {_OURS}
UNION ALL
SELECT 'trigger ' || c.relname || ' ' || t.tgname, pg_get_triggerdef(t.oid)
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND {_OURS}
UNION ALL
SELECT 'function ' || p.oid::regprocedure, md5(pg_get_functiondef(p.oid)) || ' ' || coalesce((SELECT
    string_agg(CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END, ' ' ORDER BY a.grantee = 0,
    pg_get_userbyid(a.grantee)) FROM aclexplode(p.proacl) a WHERE a.grantee <> p.proowner), '')
  FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prokind = 'f' AND NOT EXISTS (SELECT FROM
    pg_depend d WHERE d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e')
ORDER BY 1
"""  # noqa: S608 - made of constants

_SPELLING = re.compile(r"::(?:character varying|text)(?:\[\])?|[()\s]")
"""PostgreSQL writes a condition with other parentheses and casts of texts once it has read its own writing."""


class Content(msgspec.Struct, frozen=True):
    """The schema's revision, the number of rows of each table, and each rule by its name."""

    revision: str
    rows: dict[str, int]
    rules: dict[str, str]


async def tables(connection: asyncpg.Connection) -> list[str]:
    """All tables and partitions that hold rows, PostGIS's own left out."""
    return [row["relname"] for row in await connection.fetch(_TABLES)]


async def read(connection: asyncpg.Connection) -> Content:
    """What the connection's transaction sees."""
    quoted = {table: await connection.fetchval("SELECT quote_ident($1)", table) for table in await tables(connection)}
    rows = {table: await connection.fetchval(f"SELECT count(*) FROM {name}") for table, name in quoted.items()}  # noqa: S608
    revision = await connection.fetchval("SELECT version_num FROM alembic_version")
    rules = {name: _SPELLING.sub("", rule) for name, rule in await connection.fetch(_RULES)}
    return Content(revision, rows, rules)


def differences(was: Content, now: Content, *, wording: bool) -> list[str]:
    """How `now` differs from `was`; with `wording` also in how each rule is written, as the same PostgreSQL would."""
    found = [] if was.revision == now.revision else [f"revision {now.revision} instead of {was.revision}"]
    for table in sorted(was.rows.keys() | now.rows.keys()):
        if was.rows.get(table) != now.rows.get(table):
            found.append(f"{table}: {now.rows.get(table, 'no')} rows instead of {was.rows.get(table, 'none')}")
    for name in sorted(was.rules.keys() | now.rules.keys()):
        before, after = was.rules.get(name), now.rules.get(name)
        if before is None or after is None:
            found.append(f"{name}: {'missing' if after is None else 'was not there'}")
        elif wording and before != after:
            found.append(f"{name}: altered")
    return found


async def is_empty(connection: asyncpg.Connection) -> bool:
    """Whether the database holds no tables, or Outrider's without any person in them."""
    names = await tables(connection)
    if "user_account" in names:
        return not await connection.fetchval("SELECT EXISTS (SELECT FROM user_account)")
    return not names or names == ["alembic_version"]
