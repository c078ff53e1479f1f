"""What needs action: dead deliveries whose event never got through to their subscription, and that nobody dismissed.

One that was re-run needs no action while the re-run is open, nor after it ended in any way but cancelled: if
that one is dead too, it stands for the pair. The partial indexes ``ix_deliveries_needs`` carry every query here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, literal, literal_column, select, text, update

from webapp.domain.ids import first_id_at
from webapp.domain.lifecycle import State
from webapp.store.engine import within
from webapp.store.events import Shift, shift_counts
from webapp.store.operations import revived_values
from webapp.store.tables import deliveries

# Written out, not bound: a partial index serves only a predicate that the planner can read.
UNDISMISSED = text("deliveries.state = 'dead' AND deliveries.dismissed_at IS NULL")
_LATER = deliveries.alias()  # once: to make it anew costs every page a millisecond


def is_last_word() -> ColumnElement[bool]:
    """No later delivery of the same event to the same subscription took its place."""
    d, later = deliveries.c, _LATER.c
    same = (later.event_uid == d.event_uid, later.subscription_id == d.subscription_id)
    taken_over = select(literal(1)).where(*same, later.replay > d.replay, later.state != str(State.CANCELLED))
    return ~taken_over.exists()


def newest_needing(
    conn: Connection, size: int, *, subscription_id: str = "", since: datetime | None = None, before: str = ""
) -> Select[Any]:
    """Ids of what needs action, newest first, among the newest ``size`` dead deliveries that nobody dismissed."""
    window = newest_dead(conn, size, subscription_id=subscription_id, since=since, before=before).subquery()
    d = deliveries.c
    return select(d.id).join_from(window, deliveries, d.id == window.c.id).where(is_last_word()).order_by(d.id.desc())


def newest_dead(
    conn: Connection, size: int, *, subscription_id: str = "", since: datetime | None = None, before: str = ""
) -> Select[Any]:
    """The window that is looked through: at most that many rows of an index, so that a flood costs no more."""
    source = "deliveries"
    if conn.dialect.name == "sqlite":  # it would take the index of all states and read all that was ever dismissed
        source += " INDEXED BY " + ("ix_deliveries_needs_of" if subscription_id else "ix_deliveries_needs")
    query: Select[Any] = (
        select(literal_column("deliveries.id").label("id")).select_from(text(source)).where(UNDISMISSED)
    )
    if subscription_id:
        query = query.where(text("deliveries.subscription_id = :rule").bindparams(rule=subscription_id))
    if since is not None:
        first = first_id_at("dlv", int(since.timestamp() * 1000))
        query = query.where(text("deliveries.id >= :first").bindparams(first=first))
    if before:
        query = query.where(text("deliveries.id < :before").bindparams(before=before))
    return query.order_by(text("deliveries.id DESC")).limit(size)


def count_needing(conn: Connection, cap: int, subscription_id: str = "") -> int:
    """How many need action; among the newest ``cap + 1``."""
    some = newest_needing(conn, cap + 1, subscription_id=subscription_id).order_by(None).subquery()
    return conn.execute(select(func.count()).select_from(some)).scalar_one()


def revive_many(conn: Connection, ids: Sequence[str], now: datetime) -> list[Any]:
    """Dead deliveries are tried again with all their tries; answers (id, event_uid, lane) of those that were."""
    if not ids:
        return []
    d = deliveries.c
    revived = conn.execute(
        update(deliveries)
        .where(within(conn, d.id, list(ids)), d.state == str(State.DEAD))
        .values(v=d.v + 1, **revived_values(now))
        .returning(d.id, d.event_uid, d.lane)
    ).all()
    shifts: dict[str, Shift] = {}
    for row in revived:
        opened = shifts.get(row.event_uid, (0, 0, 0))[0] + 1
        shifts[row.event_uid] = (opened, 0, -opened)
    shift_counts(conn, shifts)
    return list(revived)


def dismiss(conn: Connection, ids: Sequence[str], *, at: datetime, by: str) -> list[str]:
    """These need no action any more; answers those that were dead and not dismissed. They stay dead."""
    if not ids:
        return []
    d = deliveries.c
    dismissed = (
        update(deliveries)
        .where(within(conn, d.id, list(ids)), UNDISMISSED)
        .values(dismissed_at=at, dismissed_by=by[:200], v=d.v + 1)
        .returning(d.id)
    )
    return list(conn.execute(dismissed).scalars())
