"""What people do to deliveries: each a compare-and-set from the states that the lifecycle allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select, update

from webapp.domain.errors import NotFound
from webapp.domain.lifecycle import Verb, sources_of
from webapp.store.engine import within
from webapp.store.events import shift_counts
from webapp.store.tables import deliveries, events

# Others wait for it, or it for others: what comes back passes the gate again.
HAS_PLACE = or_(deliveries.c.order_key.is_not(None), deliveries.c.limit_key.is_not(None))


def get_delivery_row(conn: Connection, delivery_id: str) -> Row[Any]:
    """The row, or ``NotFound``."""
    row = conn.execute(select(deliveries).where(deliveries.c.id == delivery_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no delivery {delivery_id[:80]!r}.")
    return row


def get_delivery_rows(conn: Connection, ids: Sequence[str]) -> Sequence[Row[Any]]:
    """These rows, oldest first."""
    return conn.execute(select(deliveries).where(within(conn, deliveries.c.id, ids)).order_by(deliveries.c.id)).all()


def hasten(conn: Connection, delivery_id: str, now: datetime) -> bool:
    """A waiting delivery is due now."""
    return _move(conn, delivery_id, Verb.HASTEN, state="pending", due_at=now)


def let_go(conn: Connection, delivery_id: str, now: datetime) -> bool:
    """A person releases what the loop guard holds. It took them as long as it took: it does not expire any more."""
    return _move(conn, delivery_id, Verb.RELEASE, state="pending", reason=None, due_at=now, expires_at=None)


def revive(conn: Connection, row: Row[Any], now: datetime) -> bool:
    """A dead delivery is tried again with all its tries; its attempts go on counting."""
    revived = _move(conn, row.id, Verb.REVIVE, **revived_values(now))
    if revived:
        shift_counts(conn, {row.event_uid: (1, 0, -1)})
    return revived


def waive(conn: Connection, row: Row[Any]) -> bool:
    """A dead delivery is not needed any more: it counts as skipped, and blocks nobody."""
    waived = _move(conn, row.id, Verb.WAIVE, state="skipped", reason="person")
    if waived:
        shift_counts(conn, {row.event_uid: (0, 0, -1)})
    return waived


def revived_values(now: datetime) -> dict[str, Any]:
    """What a dead delivery becomes that is tried again: as good as new, but for its attempts."""
    fresh = {"state": "pending", "due_at": now, "reason": None, "tries_used": 0, "crashes": 0, "finished_at": None}
    undone = ("cancel_requested_at", "cancel_requested_by", "dismissed_at", "dismissed_by", "expires_at")
    return fresh | dict.fromkeys(undone) | {"gated": HAS_PLACE}


def add_rerun(conn: Connection, row: Row[Any], new_id: str, now: datetime, batch_id: str | None = None) -> None:
    """A new delivery of the same event to the same subscription; the old one stays as it is. ``batch_id``: of the new one."""
    # First the event: its row lock makes those who ask at the same time number one after the other.
    conn.execute(
        update(events).where(events.c.uid == row.event_uid).values(total=events.c.total + 1, open=events.c.open + 1)
    )
    last = select(func.max(deliveries.c.replay)).where(
        deliveries.c.event_uid == row.event_uid, deliveries.c.subscription_id == row.subscription_id
    )
    conn.execute(
        deliveries.insert(),
        {
            "id": new_id,
            "event_uid": row.event_uid,
            "subscription_id": row.subscription_id,
            "handler": row.handler,
            "lane": row.lane,
            "state": "pending",
            "due_at": now,
            "created_at": now,
            "priority": row.priority,
            "gated": row.order_key is not None or row.limit_key is not None,
            "order_key": row.order_key,  # it stands at the end
            "limit_key": row.limit_key,
            "batch_id": batch_id,
            "replay": conn.execute(last).scalar_one() + 1,
            "replay_of": row.id,
        },
    )


def open_ids(conn: Connection, subscription_id: str) -> list[str]:
    """Every delivery of a subscription that is not final."""
    states = [str(state) for state in sources_of(Verb.CANCEL)]
    found = select(deliveries.c.id).where(
        deliveries.c.subscription_id == subscription_id, deliveries.c.state.in_(states)
    )
    return list(conn.execute(found).scalars())


def _states(verb: Verb) -> Iterable[str]:
    return [str(state) for state in sources_of(verb)]


def _move(conn: Connection, delivery_id: str, verb: Verb, **values: Any) -> bool:
    changed = conn.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.state.in_(_states(verb)))
        .values(v=deliveries.c.v + 1, **values)
    )
    return changed.rowcount == 1


def move_many(conn: Connection, ids: Sequence[str], verb: Verb, values: Mapping[str, Any]) -> dict[str, str]:
    """The same for many: those that moved, with their events."""
    moved = conn.execute(
        update(deliveries)
        .where(within(conn, deliveries.c.id, ids), deliveries.c.state.in_(_states(verb)))
        .values(v=deliveries.c.v + 1, **values)
        .returning(deliveries.c.id, deliveries.c.event_uid)
    )
    return {row.id: row.event_uid for row in moved}
