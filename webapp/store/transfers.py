"""Rows of exports and imports, and their files in pieces. Whoever goes on with one compares and sets its version."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update

from webapp.domain.bulk import ENDED, Standing
from webapp.domain.errors import NotFound
from webapp.domain.ids import first_id_at
from webapp.store.paging import LIMIT, Page
from webapp.store.tables import transfer_faults, transfer_pieces, transfers

t, p, f = transfers.c, transfer_pieces.c, transfer_faults.c
MAX_FAULTS = 1_000  # kept of one import
AT_ONCE = 10  # that are worked on side by side
OPEN = (str(Standing.RUNNING), str(Standing.PAUSED))
KEPT = timedelta(days=90)  # a row, after it ended
UPLOAD_TIME = timedelta(hours=6)
FILES_AT_ONCE, ROWS_AT_ONCE = 3, 50
QUICK = 3  # of zlib: most of the gain for a fraction of the time


def add(conn: Connection, row: Mapping[str, Any]) -> None:
    """A new one."""
    conn.execute(insert(transfers), dict(row))


def get(conn: Connection, transfer_id: str) -> Row[Any]:
    """The row, or ``NotFound``."""
    row = conn.execute(select(transfers).where(t.id == transfer_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no export or import {transfer_id[:80]!r}.")
    return row


def newest(conn: Connection, before: str = "", limit: int = LIMIT, direction: str = "") -> Page[Row[Any]]:
    """Those asked for before the cursor, which is ``created_at`` and id, newest first."""
    query = select(transfers).order_by(t.created_at.desc(), t.id.desc()).limit(limit + 1)
    if direction:
        query = query.where(t.direction == direction)
    if before:
        mark = select(t.created_at).where(t.id == before).scalar_subquery()
        query = query.where(or_(t.created_at < mark, (t.created_at == mark) & (t.id < before)))
    rows = conn.execute(query).all()
    return Page(tuple(rows[:limit]), rows[limit - 1].id if len(rows) > limit else None)


def running(conn: Connection, owner: str, direction: str, now: datetime) -> Sequence[str]:
    """Those that ``owner`` may go on with now, oldest first."""
    free = or_(t.lease_owner.is_(None), t.lease_owner == owner, t.lease_until < now)
    query = select(t.id).where(t.state == Standing.RUNNING, t.direction == direction, free)
    return conn.execute(query.order_by(t.id).limit(AT_ONCE)).scalars().all()


def step(conn: Connection, row: Any, now: datetime, **values: Any) -> bool:
    """Write down a step that was made from ``row``; False when somebody else was faster, or it does not run any more."""
    changed = conn.execute(
        update(transfers)
        .where(t.id == row.id, t.v == row.v, t.state == Standing.RUNNING)
        .values(updated_at=now, v=row.v + 1, **values)
    )
    return changed.rowcount == 1


def move(
    conn: Connection, transfer_id: str, sources: Collection[str], target: str, now: datetime, **values: Any
) -> bool:
    """Compare-and-set of the state; the lease is void from then on."""
    if target in ENDED:
        values["finished_at"] = now
    changed = conn.execute(
        update(transfers)
        .where(t.id == transfer_id, t.state.in_([str(state) for state in sources]))
        .values(state=str(target), updated_at=now, v=t.v + 1, lease_owner=None, lease_until=None, **values)
    )
    return changed.rowcount == 1


def count_of(conn: Connection, actor_kind: str, actor_id: str) -> tuple[int, int]:
    """How many of this person are open, and how many files they have."""
    mine = (t.actor_kind == actor_kind, t.actor_id == actor_id)
    opened = select(func.count()).where(*mine, t.state.in_(OPEN)).scalar_subquery()
    files = select(func.count()).where(*mine, t.file_until.is_not(None)).scalar_subquery()
    found = conn.execute(select(opened, files)).one()
    return found[0], found[1]


# Files


def add_piece(conn: Connection, transfer_id: str, n: int, text: bytes, lines: int) -> None:
    """The next piece of the file."""
    row = {"transfer_id": transfer_id, "n": n, "lines": lines, "data": zlib.compress(text, QUICK)}
    conn.execute(insert(transfer_pieces), row)


def piece(conn: Connection, transfer_id: str, n: int) -> bytes | None:
    """A piece of the file, or ``None``."""
    data = conn.execute(select(p.data).where(p.transfer_id == transfer_id, p.n == n)).scalar_one_or_none()
    return None if data is None else zlib.decompress(data)


def drop_pieces(conn: Connection, transfer_ids: Collection[str]) -> None:
    """The files are no more."""
    conn.execute(delete(transfer_pieces).where(p.transfer_id.in_(list(transfer_ids))))


def prune(conn: Connection, now: datetime) -> None:
    """Files whose time is over, rows that ended long ago, pieces of uploads that were never finished."""
    over = conn.execute(select(t.id).where(t.file_until < now).order_by(t.file_until).limit(FILES_AT_ONCE))
    if gone := list(over.scalars()):
        drop_pieces(conn, gone)
        conn.execute(update(transfers).where(t.id.in_(gone)).values(file_until=None, v=t.v + 1))
    old = conn.execute(select(t.id).where(t.finished_at < now - KEPT).order_by(t.finished_at).limit(ROWS_AT_ONCE))
    if gone := list(old.scalars()):
        drop_pieces(conn, gone)
        conn.execute(delete(transfer_faults).where(f.transfer_id.in_(gone)))
        conn.execute(delete(transfers).where(t.id.in_(gone)))
    bound = first_id_at("imp", int((now - UPLOAD_TIME).timestamp() * 1000))
    stray = (p.transfer_id >= "imp_", p.transfer_id < bound, p.transfer_id.notin_(select(t.id)))
    conn.execute(delete(transfer_pieces).where(*stray))


# Faults


def add_faults(conn: Connection, transfer_id: str, faults: Iterable[tuple[int, str]]) -> None:
    """Keep what was wrong, by line; no more than ``MAX_FAULTS`` of one import."""
    rows = [{"transfer_id": transfer_id, "line": line, "message": message[:500]} for line, message in faults]
    if not rows:
        return
    kept = conn.execute(select(func.count()).where(f.transfer_id == transfer_id)).scalar_one()
    if rows := rows[: max(0, MAX_FAULTS - kept)]:
        conn.execute(insert(transfer_faults), rows)


def faults_of(conn: Connection, transfer_id: str, limit: int = LIMIT, after: int = 0) -> Page[Row[Any]]:
    """What was wrong, by line; the cursor is a ``seq``."""
    query = select(transfer_faults).where(f.transfer_id == transfer_id, f.seq > after).order_by(f.seq)
    rows = conn.execute(query.limit(limit + 1)).all()
    return Page(tuple(rows[:limit]), str(rows[limit - 1].seq) if len(rows) > limit else None)
