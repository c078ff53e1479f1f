"""Keyset pages: newest first, a cursor instead of an offset, never more rows than asked for.

A page knows whether more follows; it never counts the rest, because counting costs what paging saves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Row, Select, and_, or_

Item = TypeVar("Item")
LIMIT = 50
SCAN = 10_000  # rows that a search without a fitting index may look at before it hands back a cursor
NEWER_CAP = 99  # "99+ newer"
SEPARATOR = "\n"  # between name and id in a cursor; a name is one line
COUNT_CAP = 10_000  # counts stop one above this and are shown as "10,000+"


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some rows and the cursor of the next ones (``None``: there are none)."""

    rows: tuple[Item, ...]
    next: str | None = None
    scanned_out: bool = False  # the search stopped at SCAN rows; ``next`` goes on from there

    def __bool__(self) -> bool:
        return bool(self.rows)


def page_of(rows: Sequence[Row[Any]], limit: int, make: Callable[[Row[Any]], Item]) -> Page[Item]:
    """A page from ``limit + 1`` fetched rows whose cursor is their ``id``."""
    shown = rows[:limit]
    return Page(tuple(make(row) for row in shown), shown[-1].id if len(rows) > limit else None)


def walk_by_name(
    conn: Connection, query: Select[Any], table: Any, after: str, limit: int
) -> tuple[Sequence[Row[Any]], str | None]:
    """The rows of ``query`` on ``table`` behind the cursor ``after``, by name and id, and the cursor of the next ones."""
    name, _, last_id = after.rpartition(SEPARATOR)
    if last_id:
        query = query.where(or_(table.c.name > name, and_(table.c.name == name, table.c.id > last_id)))
    rows = conn.execute(query.order_by(table.c.name, table.c.id).limit(limit + 1)).all()
    return rows[:limit], SEPARATOR.join((rows[limit - 1].name, rows[limit - 1].id)) if len(rows) > limit else None


def escape_like(words: str) -> str:
    """The text with the wildcards of LIKE made literal; to be used with ``escape="\\\\"``."""
    return words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
