"""Read model of log lines: the end of the log of some deliveries, and what was added to it since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select

from webapp.store.engine import within
from webapp.store.tables import log_lines

AT_ONCE = 500
LINE_CHARS = 2_000
line = log_lines.c


@dataclass(frozen=True, slots=True)
class Line:
    """One line. ``seq`` grows with the time at which it was written down."""

    seq: int
    delivery_id: str
    at: datetime
    level: str
    text: str


def last_lines(conn: Connection, delivery_ids: Sequence[str], limit: int = AT_ONCE) -> tuple[Line, ...]:
    """The newest, oldest first."""
    return tuple(reversed(_read(conn, delivery_ids, _lines(conn, delivery_ids).order_by(line.seq.desc()), limit)))


def lines_after(conn: Connection, delivery_ids: Sequence[str], seq: int, limit: int = AT_ONCE) -> tuple[Line, ...]:
    """Those behind ``seq``, oldest first."""
    return tuple(_read(conn, delivery_ids, _lines(conn, delivery_ids).where(line.seq > seq).order_by(line.seq), limit))


def _lines(conn: Connection, delivery_ids: Sequence[str]) -> Select[Any]:
    text = func.substr(line.text, 1, LINE_CHARS).label("text")
    query = select(line.seq, line.delivery_id, line.at, line.level, text)
    return query.where(within(conn, line.delivery_id, list(delivery_ids)))


def _read(conn: Connection, delivery_ids: Sequence[str], query: Select[Any], limit: int) -> list[Line]:
    return [Line(*row) for row in conn.execute(query.limit(limit))] if delivery_ids else []
