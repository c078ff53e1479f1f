"""Secrets: sealed rows by name, and which subscriptions name them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Text, cast, delete, select, type_coerce, update
from sqlalchemy.exc import IntegrityError

from webapp.domain.errors import Conflict, NotFound
from webapp.domain.secretrefs import START, references
from webapp.store.engine import within
from webapp.store.tables import subscriptions
from webapp.store.tables_rules import secrets

PER_PAGE = 100
SHOWN = tuple(column for column in secrets.c if column.name != "sealed")


def add(conn: Connection, row: Mapping[str, Any]) -> None:
    """Insert. Raises ``Conflict`` when the name is taken."""
    try:
        conn.execute(secrets.insert(), dict(row))
    except IntegrityError:
        raise Conflict(f"There is a secret {row['name']} already; replace its value instead.") from None


def get(conn: Connection, name: str) -> Row[Any]:
    """One row, locked until the end of the transaction; ``NotFound``."""
    row = conn.execute(select(secrets).where(secrets.c.name == name).with_for_update()).one_or_none()
    if row is None:
        raise NotFound(f"There is no secret {name[:64]!r}.")
    return row


def change(conn: Connection, name: str, *, revision: int, at: datetime, by: str, **values: Any) -> None:
    """Compare-and-set on the revision."""
    where = secrets.c.name == name, secrets.c.revision == revision
    changed = conn.execute(
        update(secrets).where(*where).values(revision=revision + 1, updated_at=at, updated_by=by, **values)
    )
    if changed.rowcount != 1:
        raise Conflict("This secret was changed meanwhile; look at it again.")


def remove(conn: Connection, name: str, *, revision: int) -> None:
    """Delete the row that was looked at."""
    gone = conn.execute(delete(secrets).where(secrets.c.name == name, secrets.c.revision == revision))
    if gone.rowcount != 1:
        raise Conflict("This secret was changed meanwhile; look at it again.")


def list_secrets(conn: Connection, after: str = "", limit: int = PER_PAGE) -> tuple[Sequence[Row[Any]], str | None]:
    """Secrets by name, without what they hold, and the name that the next page begins behind."""
    c = secrets.c
    rows: Sequence[Row[Any]] = conn.execute(
        select(*SHOWN).where(c.name > after).order_by(c.name).limit(limit + 1)
    ).all()
    return rows[:limit], rows[limit - 1].name if len(rows) > limit else None


def describe(conn: Connection, name: str) -> Row[Any] | None:
    """One of them, without what it holds."""
    return conn.execute(select(*SHOWN).where(secrets.c.name == name)).one_or_none()


def read_sealed(conn: Connection, names: Collection[str]) -> dict[str, bytes]:
    """What these hold, encrypted; those that do not exist are absent."""
    rows = conn.execute(select(secrets.c.name, secrets.c.sealed).where(within(conn, secrets.c.name, sorted(names))))
    return {row.name: bytes(row.sealed) for row in rows}


def hold(conn: Connection, names: Collection[str]) -> set[str]:
    """Which of these exist; they stay until the end of the transaction."""
    query = select(secrets.c.name).where(within(conn, secrets.c.name, sorted(names)))
    return set(conn.execute(query.with_for_update(read=True)).scalars())


def users_of(conn: Connection, names: Collection[str]) -> dict[str, list[tuple[str, str]]]:
    """``(id, name)`` of the subscriptions whose options name each of these, by name."""
    s, wanted = subscriptions.c, set(names)
    text = type_coerce(cast(s.options, Text), Text)
    query = select(s.id, s.name, s.options).where(s.deleted_at.is_(None), text.like(f"%{START}%"))
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in conn.execute(query.order_by(s.name, s.id)):
        for name in {name for _, name in references(row.options)} & wanted:
            found[name].append((row.id, row.name))
    return dict(found)
