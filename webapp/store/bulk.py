"""Inserting many rows as one statement: one trip to the database, and in SQLite one release of the interpreter's lock.

SQLAlchemy's ``executemany`` steps row by row. On the paths where hundreds of rows go in at once, the rows are
put into one ``VALUES`` list instead. Only column names of our own tables reach the SQL text, never a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, CursorResult, Dialect, Table

MAX_ROWS = 64  # of one statement; SQLite's cache of prepared statements holds every size of every table
DOCUMENT_FROM = 4  # rows; below, the list of values is as quick

Row = Mapping[str, Any]
Process = Callable[[Any], Any] | None


class Part(NamedTuple):
    """What goes into one of several tables."""

    table: Table
    rows: Sequence[Row]  # all with the keys of the first
    suffix: str = ""


def insert_rows(conn: Connection, table: Table, rows: Sequence[Row], suffix: str = "") -> list[CursorResult[Any]]:
    """Insert rows that all have the keys of the first. ``suffix`` is ours too: ``ON CONFLICT …``, ``RETURNING …``."""
    if not rows:
        return []
    names = tuple(rows[0])
    processes = _processes(table, names, conn.dialect.name, conn.dialect)
    if conn.dialect.name == "postgresql" and len(rows) >= DOCUMENT_FROM:
        statement = _from_document(table, names, suffix)
        return [conn.exec_driver_sql(statement, (_document(rows, processes),))]
    pick, results = itemgetter(*names), []
    special = [(at, process) for at, (_, process) in enumerate(processes) if process is not None]
    for start in range(0, len(rows), MAX_ROWS):
        some = rows[start : start + MAX_ROWS]
        values: list[Any] = []
        for row in some:
            picked = list(pick(row))
            for at, process in special:
                picked[at] = process(picked[at])
            values += picked
        statement = _statement(table, names, len(some), conn.dialect.name, suffix)
        results.append(conn.exec_driver_sql(statement, tuple(values)))
    return results


def insert_parts(conn: Connection, parts: Sequence[Part]) -> None:
    """Insert into several tables; on PostgreSQL with one trip to the server."""
    parts = [part for part in parts if part.rows]
    if conn.dialect.name == "sqlite":
        for part in parts:
            insert_rows(conn, part.table, part.rows, part.suffix)
    elif parts:
        statement = _from_documents(tuple((part.table, tuple(part.rows[0]), part.suffix) for part in parts))
        conn.exec_driver_sql(statement, tuple(_part_document(conn, part) for part in parts))


def _part_document(conn: Connection, part: Part) -> str:
    return _document(part.rows, _processes(part.table, tuple(part.rows[0]), conn.dialect.name, conn.dialect))


def _document(rows: Sequence[Row], processes: Sequence[tuple[str, Process]]) -> str:
    """All rows as one JSON parameter: PostgreSQL plans once, and the driver has one value to send, not thousands."""
    plain = [
        {name: row[name] if process is None else process(row[name]) for name, process in processes} for row in rows
    ]
    return orjson.dumps(plain).decode()


_PROCESSES: dict[tuple[str, tuple[str, ...], str], list[tuple[str, Process]]] = {}


def _processes(table: Table, names: tuple[str, ...], name: str, dialect: Dialect) -> list[tuple[str, Process]]:
    """How each column's Python value becomes the driver's: what the type says, asked once."""
    key = (table.name, names, name)
    if key not in _PROCESSES:
        _PROCESSES[key] = [(column, table.c[column].type.bind_processor(dialect)) for column in names]
    return _PROCESSES[key]


@cache
def _from_documents(parts: Sequence[tuple[Table, tuple[str, ...], str]]) -> str:
    *before, last = (_from_document(*part) for part in parts)
    named = ", ".join(f"part{n} AS ({one})" for n, one in enumerate(before))
    return f"WITH {named} {last}" if before else last


@cache
def _from_document(table: Table, names: tuple[str, ...], suffix: str) -> str:
    columns = ", ".join(f'"{name}"' for name in names)
    source = f"json_populate_recordset(NULL::{table.name}, %s::json)"
    return f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {source} {suffix}"  # noqa: S608  our own names


@cache
def _statement(table: Table, names: tuple[str, ...], size: int, dialect: str, suffix: str) -> str:
    mark = "?" if dialect == "sqlite" else "%s"
    row = f"({', '.join([mark] * len(names))})"
    columns = ", ".join(f'"{table.c[name].name}"' for name in names)
    return f"INSERT INTO {table.name} ({columns}) VALUES {', '.join([row] * size)} {suffix}"  # noqa: S608  our own names
