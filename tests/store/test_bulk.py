"""Many rows in few statements: all of them arrive, in every table, on both databases."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from sqlalchemy import event, select

from webapp.domain.access import SYSTEM
from webapp.runtime import Runtime
from webapp.store import audit
from webapp.store.accepted import insert_accepted
from webapp.store.bulk import MAX_ROWS, Part, insert_parts, insert_rows
from webapp.store.counters import ADD, count_rows
from webapp.store.tables import audit as audit_table
from webapp.store.tables import counters

HOSTILE = "é🚀'\"\\ %s %(x)s ? :y {} \N{LINE SEPARATOR}"


def entries(rt: Runtime, n: int) -> list[dict[str, Any]]:
    return [
        audit.entry(
            id=rt.new_id("aud"), at=rt.clock(), actor=SYSTEM, action="bulk.tried", target_kind="event",
            target_id=str(i), target_name=HOSTILE, details={"n": i, "text": HOSTILE},
        )
        for i in range(n)
    ]  # fmt: skip


def stored(conn: Any) -> dict[str, Any]:
    found = conn.execute(select(audit_table).where(audit_table.c.action == "bulk.tried"))
    return {row.id: (row.at, row.target_id, row.target_name, row.details) for row in found}


def wanted(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {row["id"]: (row["at"], row["target_id"], row["target_name"], row["details"]) for row in rows}


@pytest.mark.parametrize("n", [1, 3, 4, MAX_ROWS, MAX_ROWS + 1, 3 * MAX_ROWS])
def test_insert_rows_stores_every_value(rt: Runtime, n: int) -> None:
    rows = entries(rt, n)
    with rt.db.write() as conn:
        insert_rows(conn, audit_table, rows)
        assert stored(conn) == wanted(rows)


@pytest.mark.parametrize("n", [1, 100])
def test_insert_parts_fills_all_tables_and_skips_empty_parts(rt: Runtime, n: int) -> None:
    rows, counts = entries(rt, n), Counter({(7, "", "accepted", bucket): 2 for bucket in range(n)})
    with rt.db.write() as conn:
        insert_parts(conn, [])
        insert_parts(conn, [Part(counters, count_rows(counts), ADD)])
        insert_parts(conn, [Part(audit_table, rows), Part(counters, []), Part(counters, count_rows(counts), ADD)])
        assert stored(conn) == wanted(rows)
        assert conn.execute(select(counters.c.n).where(counters.c.minute == 7)).scalars().all() == [4] * n


def test_what_belongs_to_accepted_events_is_one_statement_on_postgresql(rt: Runtime) -> None:
    said: list[str] = []
    event.listen(rt.db._write_engine, "before_cursor_execute", lambda _conn, _cursor, text, *_: said.append(text))
    with rt.db.write() as conn:
        insert_accepted(conn, [], entries(rt, 5), Counter({(7, "", "accepted", 0): 5}))
    assert sum("INSERT" in text for text in said) == (2 if rt.db.is_sqlite else 1)
