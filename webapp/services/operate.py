"""What people do to one delivery: retry, re-run, cancel. Each is audited in the transaction that does it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection

from webapp.domain.access import Actor
from webapp.domain.errors import Conflict
from webapp.domain.flow import Hold
from webapp.domain.lifecycle import FINAL, State, Verb, advance
from webapp.domain.policies import Policies
from webapp.live import EventChanged
from webapp.runtime import Runtime
from webapp.services import batches, gatekeeper, trail
from webapp.store import cancels, operations, subscriptions
from webapp.store.audit import Target
from webapp.store.events import get_event_row
from webapp.store.flow import hold_blocked


def retry(rt: Runtime, actor: Actor, delivery_id: str) -> int:
    """Try this delivery now: a waiting one does not wait, a dead one gets all its tries again, a loop's goes on.

    What was run with it as a batch is tried with it again; answers how many that are in all.
    """
    actor.must("operate")
    now = rt.clock()
    with rt.db.write() as conn:
        row = operations.get_delivery_row(conn, delivery_id)
        policies = Policies.from_json(subscriptions.get_subscription(conn, row.subscription_id).policies)
        if row.state == State.WAITING:
            done = operations.hasten(conn, delivery_id, now)
        elif row.state == State.HELD and row.reason == Hold.LOOP:
            done = operations.let_go(conn, delivery_id, now)
        else:
            advance(row.state, Verb.REVIVE)
            done = operations.revive(conn, row, now)
        _must_have_moved(done)
        mates = batches.retry_mates(conn, row, policies, now)
        hold_blocked(conn, [delivery_id, *mates])
        _write_audit(rt, conn, actor, "delivery.retried", row, {"from": row.state} | _with(row, mates))
    _tell(rt, row, mates.values())
    return 1 + len(mates)


def rerun(rt: Runtime, actor: Actor, delivery_id: str) -> str:
    """Run the event again for the same subscription, as a new delivery; answers its id. The old one stays.

    Of a batch, all that have ended are run again, as a batch.
    """
    actor.must("operate")
    with rt.db.write() as conn:
        row = operations.get_delivery_row(conn, delivery_id)
        if row.state not in FINAL:
            raise Conflict(f"This delivery is still {row.state}; it can be re-run when it has ended.")
        subscription = subscriptions.get_subscription(conn, row.subscription_id)
        if subscription.mode == "shadow":
            raise Conflict("Its subscription is in shadow mode: nothing runs. Set it live first.")
        made = batches.rerun_together(conn, row, Policies.from_json(subscription.policies), rt.new_id, rt.clock())
        new_id, _ = made[row.id]
        hold_blocked(conn, [id for id, _ in made.values()])
        details = {"from": row.state, "new_delivery": new_id} | _with(row, [id for id in made if id != row.id])
        _write_audit(rt, conn, actor, "delivery.rerun", row, details)
    _tell(rt, row, [uid for _, uid in made.values()])
    return new_id


def _with(row: Any, mates: Collection[str]) -> dict[str, Any]:
    """What the audit log says of a batch."""
    return {"batch": row.batch_id, "with": list(mates)} if mates else {}


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


def _tell(rt: Runtime, row: Any, others: Iterable[str] = ()) -> None:
    gatekeeper.after_end(rt, [row])
    if row.lane == "default":
        rt.queue.ring("default")
    rt.live.tell(*(EventChanged(uid, "") for uid in dict.fromkeys([row.event_uid, *others])))
