"""Samples: kept, listed by name, renamed by compare-and-set, deleted softly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, or_, select, update

from webapp.domain.errors import Conflict, NotFound
from webapp.store.paging import escape_like, walk_by_name
from webapp.store.tables import samples

WORDS = 8  # at most so many are looked for


def get_sample(conn: Connection, sample_id: str) -> Row[Any]:
    """A sample that is not deleted, or ``NotFound``."""
    found = select(samples).where(samples.c.id == sample_id, samples.c.deleted_at.is_(None))
    row = conn.execute(found).one_or_none()
    if row is None:
        raise NotFound(f"There is no sample {sample_id[:80]!r}.")
    return row


def list_samples(
    conn: Connection, *, type: str = "", words: str = "", after: str = "", limit: int = 50
) -> tuple[Sequence[Row[Any]], str | None]:
    """Those that are not deleted, by name, and the cursor of the next page."""
    query = select(samples).where(*wanted(type, words))
    return walk_by_name(conn, query, samples, after, limit)


def newest_samples(
    conn: Connection, *, type: str = "", words: str = "", before: str = "", limit: int = 50
) -> tuple[Sequence[Row[Any]], str | None]:
    """The same, newest first, and the id that the next page begins behind."""
    s = samples.c
    query = select(samples).where(*wanted(type, words))
    if before:
        query = query.where(s.id < before)
    rows = conn.execute(query.order_by(s.id.desc()).limit(limit + 1)).all()
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else None


def wanted(type: str = "", words: str = "") -> list[ColumnElement[bool]]:
    """The conditions of a list: of a type, and with all these words in name or type."""
    s = samples.c
    found: list[ColumnElement[bool]] = [s.deleted_at.is_(None)]
    if type:
        found.append(s.type == type)
    for word in words.lower().split()[:WORDS]:
        like = f"%{escape_like(word)}%"
        found.append(or_(func.lower(s.name).like(like, escape="\\"), s.type.like(like, escape="\\")))
    return found


def count_samples(conn: Connection) -> int:
    """How many there are."""
    return conn.execute(select(func.count()).select_from(samples).where(samples.c.deleted_at.is_(None))).scalar_one()


def is_taken(conn: Connection, type: str, name: str) -> bool:
    """Whether the type has a sample of this name."""
    s = samples.c
    same = select(s.id).where(s.type == type, s.name == name, s.deleted_at.is_(None)).limit(1)
    return conn.execute(same).first() is not None


def add_sample(conn: Connection, row: Mapping[str, Any]) -> None:
    """Insert."""
    conn.execute(samples.insert(), dict(row))


def rename_sample(conn: Connection, sample_id: str, *, before: str, name: str) -> None:
    """From the name ``before`` to ``name``. Raises ``Conflict`` when somebody was faster."""
    _change(conn, sample_id, before, name=name)


def delete_sample(conn: Connection, sample_id: str, *, before: str, at: datetime) -> None:
    """Out of every list; the row stays."""
    _change(conn, sample_id, before, deleted_at=at)


def _change(conn: Connection, sample_id: str, before: str, **values: Any) -> None:
    s = samples.c
    here = (s.id == sample_id, s.name == before, s.deleted_at.is_(None))
    if conn.execute(update(samples).where(*here).values(**values)).rowcount != 1:
        raise Conflict("This sample was changed meanwhile; look at it again.")
