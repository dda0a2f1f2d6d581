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


# What was written in this transaction, undone or not: PostgreSQL counts each row, and a TRUNCATE gives a table another file.
_WRITTEN = """
SELECT relname, relfilenode::text || ' ' || pg_stat_get_xact_tuples_inserted(oid) + pg_stat_get_xact_tuples_updated(oid)
    + pg_stat_get_xact_tuples_deleted(oid)
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""


class Watch:
    """What differs from the fingerprint that it began with, within one transaction: `fingerprint`, at a small part of its price.

    It reads only the tables that were written to since they were last found the same. What another connection writes it does
    not see, so whoever relies on it ends with a fingerprint of everything.
    """

    def __init__(self) -> None:
        self.before = fingerprint()
        self._same = self._written()

    def changed(self) -> frozenset[str]:
        """The names of the tables that say something else now."""
        written = self._written()
        suspects = sorted(name for name, count in written.items() if count != self._same.get(name))
        if not suspects:
            return frozenset()
        with connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(_ONE.format(name) for name in suspects))
            differs = changed({name: self.before.get(name, "") for name in suspects}, dict(cursor.fetchall()))
        self._same.update({name: written[name] for name in suspects if name not in differs})
        return differs

    def _written(self) -> dict[str, str]:
        with connection.cursor() as cursor:
            cursor.execute(_WRITTEN)
            return {name: count for name, count in cursor.fetchall() if name not in SESSIONS}


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> frozenset[str]:
    """The names of the tables that say something else now."""
    return frozenset(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
