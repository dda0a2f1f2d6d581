"""What the database holds, as one short text a table: to say that something changed nothing, and which table it changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache

from django.db import connection

# Whoever comes is remembered: a session row is no state of the house.
SESSIONS = frozenset({"django_session"})

_FUNCTION = """
CREATE FUNCTION pg_temp.fingerprint() RETURNS TABLE (named text, said text) LANGUAGE plpgsql AS $body$
BEGIN
    RETURN QUERY {};
END $body$
"""
_ONE = """SELECT '{0}'::text, md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '')) FROM "{0}" t"""


@cache
def _tables() -> tuple[str, ...]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        return tuple(name for (name,) in cursor.fetchall())


def fingerprint(*, but: Collection[str] = SESSIONS) -> Mapping[str, str]:
    """Table -> MD5 of its rows, of every table there is but these. One round trip, planned once for a connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regprocedure('pg_temp.fingerprint()')")
        if cursor.fetchone() == (None,):
            cursor.execute(_FUNCTION.format(" UNION ALL ".join(_ONE.format(name) for name in _tables())))
        cursor.execute("SELECT named, said FROM pg_temp.fingerprint()")
        return {name: said for name, said in cursor.fetchall() if name not in but}


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> frozenset[str]:
    """The names of the tables that say something else now."""
    return frozenset(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
