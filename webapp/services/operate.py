"""What people do to one delivery: retry, re-run, cancel. Each is audited in the transaction that does it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from webapp.domain.access import Actor
from webapp.domain.errors import Conflict
from webapp.domain.flow import Hold
from webapp.domain.lifecycle import FINAL, State, Verb, advance
from webapp.live import EventChanged
from webapp.runtime import Runtime
from webapp.services import gatekeeper, trail
from webapp.store import cancels, operations, subscriptions
from webapp.store.audit import Target
from webapp.store.events import get_event_row
from webapp.store.flow import hold_blocked


def retry(rt: Runtime, actor: Actor, delivery_id: str) -> None:
    """Try this delivery now: a waiting one does not wait, a dead one gets all its tries again, a loop's goes on."""
    actor.must("operate")
    now = rt.clock()
    with rt.db.write() as conn:
        row = operations.get_delivery_row(conn, delivery_id)
        subscriptions.get_subscription(conn, row.subscription_id)
        if row.state == State.WAITING:
            done = operations.hasten(conn, delivery_id, now)
        elif row.state == State.HELD and row.reason == Hold.LOOP:
            done = operations.let_go(conn, delivery_id, now)
        else:
            advance(row.state, Verb.REVIVE)
            done = operations.revive(conn, row, now)
        _must_have_moved(done)
        hold_blocked(conn, [delivery_id])
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
        if subscriptions.get_subscription(conn, row.subscription_id).mode == "shadow":
            raise Conflict("Its subscription is in shadow mode: nothing runs. Set it live first.")
        operations.add_rerun(conn, row, new_id, rt.clock())
        hold_blocked(conn, [new_id])
        _write_audit(rt, conn, actor, "delivery.rerun", row, {"from": row.state, "new_delivery": new_id})
    _tell(rt, row)
    return new_id


def cancel(rt: Runtime, actor: Actor, delivery_id: str) -> bool:
    """Stop this delivery for good; answers whether it has ended.

    If it runs, its end is asked for: its worker tells the handler and records how it ended (``CancelEnd``). A handler
    that succeeds before it can be stopped has succeeded.
    """
    actor.must("operate")
    with rt.db.write() as conn:
        row = operations.get_delivery_row(conn, delivery_id)
        advance(row.state, Verb.CANCEL)
        if row.state == State.RUNNING and row.cancel_requested_at is not None:
            raise Conflict(f"{row.cancel_requested_by} has asked for this already; the handler is being stopped.")
        done = cancels.cancel_open(conn, [delivery_id], at=rt.clock(), by=actor.name)
        _must_have_moved(bool(done))
        action = "delivery.cancelled" if done.ended else "delivery.cancel_requested"
        _write_audit(rt, conn, actor, action, row, {"from": row.state})
    _tell(rt, row)
    return bool(done.ended)


def skip(rt: Runtime, actor: Actor, delivery_id: str, reason: str = "") -> None:
    """Do without a dead delivery: it counts as skipped, and those that it blocked go on."""
    actor.must("operate")
    with rt.db.write() as conn:
        row = operations.get_delivery_row(conn, delivery_id)
        if row.state != State.DEAD:
            raise Conflict(f"This delivery is {row.state}; only a dead one can be skipped.")
        _must_have_moved(operations.waive(conn, row))
        details = {"from": row.state, "was": row.reason, "reason": reason.strip()[:500]}
        _write_audit(rt, conn, actor, "delivery.skipped", row, details)
    _tell(rt, row)


def _must_have_moved(moved: bool) -> None:
    if not moved:
        raise Conflict("The delivery changed meanwhile; look at it again.")


def _write_audit(rt: Runtime, conn: Connection, actor: Actor, action: str, row: Any, details: dict[str, Any]) -> None:
    event = get_event_row(conn, row.event_uid)
    target = Target("delivery", row.id, event.type)
    trail.leave(rt, conn, actor, action, target, {"event": row.event_uid, **details})


def _tell(rt: Runtime, row: Any) -> None:
    gatekeeper.after_end(rt, [row])
    if row.lane == "default":
        rt.queue.ring("default")
    rt.live.tell(EventChanged(row.event_uid, ""))
