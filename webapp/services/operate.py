"""What people do to one delivery: retry, re-run, cancel. Each is audited in the transaction that does it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from webapp.domain.access import Actor
from webapp.domain.errors import Conflict
from webapp.domain.lifecycle import FINAL, State, Verb, advance
from webapp.live import EventChanged
from webapp.runtime import Runtime
from webapp.store import audit, operations, outcomes, subscriptions
from webapp.store.events import get_event_row


def retry(rt: Runtime, actor: Actor, delivery_id: str) -> None:
    """Try this delivery now: a waiting one does not wait, a dead one gets all its tries again."""
    actor.must("operate")
    now = rt.clock()
    with rt.db.write() as conn:
        row = operations.get_delivery_row(conn, delivery_id)
        subscription = subscriptions.get_subscription(conn, row.subscription_id)
        if row.state == State.WAITING:
            done = operations.hasten(conn, delivery_id, now)
        else:
            advance(row.state, Verb.REVIVE)
            done = operations.revive(conn, row, now)
        _must_have_moved(done)
        if subscription.paused_at is not None:
            operations.hold_all(conn, row.subscription_id)
        _write_audit(rt, conn, actor, "delivery.retried", row, {"from": row.state})
    _tell(rt, row)


def rerun(rt: Runtime, actor: Actor, delivery_id: str) -> str:
    """Run the event again for the same subscription, as a new delivery; answers its id. The old one stays."""
    actor.must("operate")
    new_id = rt.new_id("dlv")
    with rt.db.write() as conn:
        row = operations.get_delivery_row(conn, delivery_id)
        if row.state not in FINAL:
            raise Conflict(f"This delivery is still {row.state}; it can be re-run when it has ended.")
        subscription = subscriptions.get_subscription(conn, row.subscription_id)
        held = subscription.paused_at is not None
        operations.add_rerun(conn, row, new_id, rt.clock(), held=held)
        _write_audit(rt, conn, actor, "delivery.rerun", row, {"from": row.state, "new_delivery": new_id})
    _tell(rt, row)
    return new_id


def cancel(rt: Runtime, actor: Actor, delivery_id: str) -> None:
    """Stop this delivery for good. A handler that is running is told; what it still reports is dropped."""
    actor.must("operate")
    with rt.db.write() as conn:
        row = operations.get_delivery_row(conn, delivery_id)
        advance(row.state, Verb.CANCEL)
        _must_have_moved(bool(outcomes.cancel_open(conn, [delivery_id], at=rt.clock())))
        _write_audit(rt, conn, actor, "delivery.cancelled", row, {"from": row.state})
    _tell(rt, row)


def _must_have_moved(moved: bool) -> None:
    if not moved:
        raise Conflict("The delivery changed meanwhile; look at it again.")


def _write_audit(rt: Runtime, conn: Connection, actor: Actor, action: str, row: Any, details: dict[str, Any]) -> None:
    event = get_event_row(conn, row.event_uid)
    audit.add(
        conn,
        id=rt.new_id("aud"),
        at=rt.clock(),
        actor=actor,
        action=action,
        target_kind="delivery",
        target_id=row.id,
        target_name=event.type,
        details={"event": row.event_uid, **details},
    )


def _tell(rt: Runtime, row: Any) -> None:
    if row.lane == "default":
        rt.queue.ring("default")
    rt.live.tell(EventChanged(row.event_uid, ""))
