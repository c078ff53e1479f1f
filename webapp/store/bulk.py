"""Inserting many rows as one statement: one trip to the database, and in SQLite one release of the interpreter's lock.

SQLAlchemy's ``executemany`` steps row by row. On the paths where hundreds of rows go in at once, the rows are
put into one ``VALUES`` list instead. Only column names of our own tables reach the SQL text, never a value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, CursorResult, Dialect, Table

MAX_ROWS = 64  # of one statement; SQLite's cache of prepared statements holds every size of every table
DOCUMENT_FROM = 4  # rows; below, the list of values is as quick

Row = Mapping[str, Any]
Process = Callable[[Any], Any] | None


def insert_rows(conn: Connection, table: Table, rows: Sequence[Row], suffix: str = "") -> list[CursorResult[Any]]:
    """Insert rows that all have the keys of the first. ``suffix`` is ours too: ``ON CONFLICT …``, ``RETURNING …``."""
    if not rows:
        return []
    names = tuple(rows[0])
    processes = _processes(table, names, conn.dialect.name, conn.dialect)
    if conn.dialect.name == "postgresql" and len(rows) >= DOCUMENT_FROM:
        return [_insert_document(conn, table, rows, processes, suffix)]
    results = []
    for start in range(0, len(rows), MAX_ROWS):
        some = rows[start : start + MAX_ROWS]
        values: list[Any] = []
        for row in some:
            values.extend([row[name] if process is None else process(row[name]) for name, process in processes])
        statement = _statement(table, names, len(some), conn.dialect.name, suffix)
        results.append(conn.exec_driver_sql(statement, tuple(values)))
    return results


def _insert_document(
    conn: Connection, table: Table, rows: Sequence[Row], processes: Sequence[tuple[str, Process]], suffix: str
) -> CursorResult[Any]:
    """All rows as one JSON parameter: PostgreSQL plans once, and the driver has one value to send, not thousands."""
    plain = [
        {name: row[name] if process is None else process(row[name]) for name, process in processes} for row in rows
    ]
    columns = ", ".join(f'"{name}"' for name, _ in processes)
    source = f"json_populate_recordset(NULL::{table.name}, %s::json)"
    statement = f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {source} {suffix}"  # noqa: S608  our own names
    return conn.exec_driver_sql(statement, (json.dumps(plain, ensure_ascii=False),))


_PROCESSES: dict[tuple[str, tuple[str, ...], str], list[tuple[str, Process]]] = {}


def _processes(table: Table, names: tuple[str, ...], name: str, dialect: Dialect) -> list[tuple[str, Process]]:
    """How each column's Python value becomes the driver's: what the type says, asked once."""
    key = (table.name, names, name)
    if key not in _PROCESSES:
        _PROCESSES[key] = [(column, table.c[column].type.bind_processor(dialect)) for column in names]
    return _PROCESSES[key]


@cache
def _statement(table: Table, names: tuple[str, ...], size: int, dialect: str, suffix: str) -> str:
    mark = "?" if dialect == "sqlite" else "%s"
    row = f"({', '.join([mark] * len(names))})"
    columns = ", ".join(f'"{table.c[name].name}"' for name in names)
    return f"INSERT INTO {table.name} ({columns}) VALUES {', '.join([row] * size)} {suffix}"  # noqa: S608  our own names
