"""Sealing a world: once for each manifest in a process, by `genesis.seal`; after that its rows are put back as they were.

More than a thousand tests begin with one of a few worlds, and sealing one is a tenth of a second of work.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import yaml
from django.db import connection, transaction
from psycopg import sql

from approvals import genesis
from approvals.authority import chain
from approvals.models import AuditEntry

# Written by a function of the database, which is called again.
_TRAIL = {"approvals_auditentry", "approvals_chainhead"}


@dataclass(frozen=True)
class _World:
    """A sealed world: its genesis, and the statements that put its rows and its trail into an empty database."""

    genesis: str
    statements: str


_sealed: dict[str, _World] = {}


def sealed(manifest: str) -> str:
    """Seal what a manifest (as JSON) says in the test's database; its genesis. This process has walked no chain then."""
    chain.forget()
    world = _sealed.get(manifest)
    if world is None:
        return _for_the_first_time(manifest)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(world.statements)
    return world.genesis


# Rows as JSON, which PostgreSQL reads back to the same; then identity columns go on after the rows that are there.
_ROWS = """
SELECT format('INSERT INTO %1$I SELECT * FROM json_populate_recordset(NULL::%1$I, %2$L);', {name}, json_agg(t)) FROM {table} t
"""
_SEQUENCES = """
SELECT format('SELECT setval(%%L, max(%%I)) FROM %%I;', pg_get_serial_sequence(table_name, column_name), column_name, table_name)
FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = ANY(%s) AND is_identity = 'YES'
"""


def _for_the_first_time(manifest: str) -> str:
    filled = _filled()
    before = AuditEntry.objects.count()
    found = genesis.seal(genesis.read(yaml.safe_dump(json.loads(manifest)))).hash
    tables = sorted(_filled() - filled)
    bodies = list(AuditEntry.objects.order_by("sequence").values_list("body", flat=True)[before:])
    with connection.cursor() as cursor:
        statements = []
        for table in tables:
            cursor.execute(sql.SQL(_ROWS).format(name=sql.Literal(table), table=sql.Identifier(table)))
            statements += cursor.fetchone()
        cursor.execute(_SEQUENCES, [tables])
        statements += [statement for (statement,) in cursor.fetchall()]
        cursor.execute("SELECT format('SELECT approvals_audit_append(%%L::text[])', %s::text[])", [bodies])
        statements += cursor.fetchone()
    _sealed[manifest] = _World(found, "\n".join(statements))
    return found


def _filled() -> set[str]:
    """The tables with rows, the trail's left out."""
    found = set(connection.introspection.table_names()) - _TRAIL
    parts = [f"SELECT '{name}' WHERE EXISTS (SELECT FROM \"{name}\")" for name in found]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts))
        return {name for (name,) in cursor.fetchall()}
