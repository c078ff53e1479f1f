"""Databases of PostgreSQL for one test after the other: emptied in between, which takes a tenth of the time of a new copy."""

from __future__ import annotations

import time
from itertools import count
from typing import Any

import psycopg

from tests.support.servers import Postgres

GONE_S = 2.0  # a backend outlives its client by milliseconds
SHAPE = """
SELECT md5(string_agg(one, ' ' ORDER BY one)) FROM (
  SELECT format('%s %s %s', relname, relkind, relnatts) FROM pg_class WHERE relnamespace = 'public'::regnamespace
  UNION ALL SELECT format('%s %s', tgname, tgenabled) FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL SELECT format('%s %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint
  UNION ALL SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace) AS all_of(one)
"""
# Few rows are deleted, many are cut off with their file, so that no test pays for what another wrote.
EMPTY = """
DO $$ DECLARE one record; filled boolean; BEGIN
  SET LOCAL session_replication_role = replica;
  FOR one IN SELECT relname, pg_relation_size(oid) AS bytes FROM pg_class
             WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' LOOP
    IF one.bytes > 65536 THEN EXECUTE format('TRUNCATE %I CASCADE', one.relname);
    ELSIF one.bytes > 0 THEN EXECUTE format('DELETE FROM %I', one.relname); END IF;
  END LOOP;
  FOR one IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL LOOP
    EXECUTE format('ALTER SEQUENCE %I RESTART', one.sequencename);
  END LOOP;
END $$
"""
FILLED = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND pg_relation_size(oid) > 0"


class SpareDatabases:
    """Copies of a template. One that a test left changed in its shape, or with somebody still connected, is dropped."""

    def __init__(self, cluster: Postgres, template: str, prefix: str) -> None:
        self._cluster, self._template, self._prefix = cluster, template, prefix
        self._serial, self._spare = count(), list[str]()
        self._shape = self._shape_of(template)
        with self._connect(template) as conn:
            filled = [row[0] for row in conn.execute(FILLED)]
            self._rows = {table: conn.execute(f'SELECT * FROM "{table}"').fetchall() for table in filled}

    def take(self) -> str:
        """The name of an empty one."""
        while self._spare:
            name = self._spare.pop()
            if self._is_left_alone(name) and self._shape_of(name) == self._shape:
                self._empty(name)
                return name
            self._cluster.drop(name)
        name = f"{self._prefix}_{next(self._serial)}"
        self._cluster.create(name, template=self._template)
        return name

    def give_back(self, name: str) -> None:
        """It is looked at when it is taken again: by then all that the test used is closed."""
        self._spare.append(name)

    def _connect(self, name: str) -> psycopg.Connection[Any]:
        return psycopg.connect(self._cluster.url(name), autocommit=True)

    def _shape_of(self, name: str) -> str:
        with self._connect(name) as conn:
            [[shape]] = conn.execute(SHAPE)
        return str(shape)

    def _is_left_alone(self, name: str) -> bool:
        until = time.monotonic() + GONE_S
        with self._connect("postgres") as conn:
            while time.monotonic() < until:
                [[n]] = conn.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", [name])
                if n == 0:
                    return True
                time.sleep(0.01)
        return False

    def _empty(self, name: str) -> None:
        """As the template is: also what the migrations wrote stands there again."""
        with self._connect(name) as conn:
            conn.execute(EMPTY)
            for table, rows in self._rows.items():
                values = ", ".join(["%s"] * len(rows[0]))
                conn.cursor().executemany(f'INSERT INTO "{table}" VALUES ({values})', rows)
