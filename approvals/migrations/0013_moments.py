"""Moments that Python can read: PostgreSQL also keeps `infinity` and years before Christ.

A row of such a moment makes the query raise that reads it, and with it every row beside it: whoever may add one promise could stop
the workers that take promises, alerts among them.
"""

from __future__ import annotations

from django.db import migrations

COLUMNS = """
SELECT c.table_name, c.column_name FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.table_name LIKE 'approvals\\_%'
AND c.data_type = 'timestamp with time zone'
"""

ADD = f"""
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN {COLUMNS} LOOP
        EXECUTE format(
            'ALTER TABLE %I ADD CONSTRAINT %I CHECK (%I >= ''1900-01-01 00:00+00'' AND %I < ''9000-01-01 00:00+00'')',
            one.table_name, 'a_moment_' || left(md5(one.table_name || '.' || one.column_name), 16),
            one.column_name, one.column_name);
    END LOOP;
END $$;
"""

REMOVE = f"""
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN {COLUMNS} LOOP
        EXECUTE format('ALTER TABLE %I DROP CONSTRAINT IF EXISTS %I',
            one.table_name, 'a_moment_' || left(md5(one.table_name || '.' || one.column_name), 16));
    END LOOP;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0012_limits")]

    operations = [migrations.RunSQL(ADD, REMOVE)]
