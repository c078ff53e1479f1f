"""Inserting many rows as one statement: one trip to the database, and in SQLite one release of the interpreter's lock.

SQLAlchemy's ``executemany`` steps row by row. On the paths where hundreds of rows go in at once, the rows are
put into one ``VALUES`` list instead. Only column names of our own tables reach the SQL text, never a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, CursorResult, Dialect, Table

# Statements come in these sizes only, so that the drivers' caches of prepared statements hold them all.
SIZES = (64, 32, 16, 8, 4, 2, 1)

Row = Mapping[str, Any]
Process = Callable[[Any], Any] | None


def insert_rows(
    conn: Connection, table: Table, rows: Sequence[Row], suffix: str = ""
) -> list[CursorResult[Any]]:
    """Insert rows that all have the keys of the first. ``suffix`` is ours too: ``ON CONFLICT …``, ``RETURNING …``."""
    if not rows:
        return []
    names = tuple(rows[0])
    processes = _processes(table, names, conn.dialect.name, conn.dialect)
    results, start = [], 0
    while start < len(rows):
        size = next(size for size in SIZES if size <= len(rows) - start)
        values: list[Any] = []
        for row in rows[start : start + size]:
            values.extend(
                [row[name] if process is None else process(row[name]) for name, process in processes]
            )
        statement = _statement(table, names, size, conn.dialect.name, suffix)
        results.append(conn.exec_driver_sql(statement, tuple(values)))
        start += size
    return results


_PROCESSES: dict[tuple[str, tuple[str, ...], str], list[tuple[str, Process]]] = {}


def _processes(table: Table, names: tuple[str, ...], name: str, dialect: Dialect) -> list[tuple[str, Process]]:
    """How each column's Python value becomes the driver's: what the type says, asked once."""
    key = (table.name, names, name)
    if key not in _PROCESSES:
        _PROCESSES[key] = [
            (column, table.c[column].type.dialect_impl(dialect).bind_processor(dialect)) for column in names
        ]
    return _PROCESSES[key]


@cache
def _statement(table: Table, names: tuple[str, ...], size: int, dialect: str, suffix: str) -> str:
    mark = "?" if dialect == "sqlite" else "%s"
    row = f"({', '.join([mark] * len(names))})"
    columns = ", ".join(f'"{table.c[name].name}"' for name in names)
    return f"INSERT INTO {table.name} ({columns}) VALUES {', '.join([row] * size)} {suffix}"  # noqa: S608  our own names
