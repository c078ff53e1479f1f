"""Holding and letting go what belongs to a subscription, in batches, each in a transaction of its own.

What a request or a worker does not finish (there is more than it should wait for, or it died) the beat goes on with.
"""

from __future__ import annotations

from datetime import datetime
from itertools import repeat

from sqlalchemy import Connection

from webapp.domain.breaker import allowance
from webapp.domain.flow import Hold
from webapp.live import SubscriptionChanged
from webapp.runtime import Runtime
from webapp.store import flow as flows
from webapp.store.flow import BATCH, NO_LIMIT, Flow
from webapp.store.subscriptions import bump_routes

BATCHES = 25  # that one call moves at most: the beat does the rest


def hold(rt: Runtime, subscription_id: str, batches: int = BATCHES) -> int:
    """Hold what is due while the subscription is paused or its breaker is not closed; answers how many."""
    held = 0
    for _ in range(batches):
        with rt.db.write() as conn:
            flow = flows.lock(conn, subscription_id, share=True)
            reason = flow.hold if flow else None
            moved = flows.hold_due(conn, subscription_id, reason) if reason else 0
        held += moved
        if moved < BATCH:
            break
    return held


def name_reason(rt: Runtime, subscription_id: str) -> None:
    """Say of every held delivery why it is held now. Only words: what runs does not hang on it."""
    after: str | None = ""
    while after is not None:
        with rt.db.write() as conn:
            flow = flows.lock(conn, subscription_id, share=True)
            if flow is None:
                return
            reason = flow.hold or Hold.RELEASING
            after = flows.relabel(conn, subscription_id, reason, after)


def begin_release(conn: Connection, flow: Flow, pace: float | None, now: datetime) -> dict[str, object]:
    """The columns of a gate that lets what is held go from now on, at ``pace`` a second or as fast as it goes."""
    has_held = flows.any_held(conn, flow.subscription_id)
    return {"release_pace": (pace or NO_LIMIT) if has_held else None, "released_at": now if has_held else None}


def release(rt: Runtime, subscription_id: str, batches: int = BATCHES) -> int:
    """Let go what the pace allows by now; answers how many. When nothing is held any more, the release is over."""
    released = 0
    for _ in repeat(None, batches):
        moved = _release_batch(rt, subscription_id)
        released += moved
        if moved < BATCH:
            break
    if released:
        rt.queue.ring("default")
    return released


def release_orphans(rt: Runtime, subscription_id: str) -> None:
    """Let go what is held though nothing holds it: it slipped in when a pause or a release ended."""
    with rt.db.write() as conn:
        flow = flows.lock(conn, subscription_id)
        if flow is None or flow.hold or flow.pace is not None or not flows.any_held(conn, subscription_id):
            return
        flows.change(conn, flow, **begin_release(conn, flow, None, rt.clock()))
    release(rt, subscription_id)


def _release_batch(rt: Runtime, subscription_id: str) -> int:
    now = rt.clock()
    with rt.db.write() as conn:
        flow = flows.lock(conn, subscription_id)
        if flow is None or flow.hold or flow.pace is None:
            return 0
        due, until = BATCH, now
        if flow.pace > NO_LIMIT:
            due, until = allowance(flow.pace, flow.released_at or now, now, BATCH)
        moved = flows.release_oldest(conn, flow, now, due) if due else 0
        is_over = _is_over(conn, flow)
        values = {"release_pace": None, "released_at": None} if is_over else {"released_at": until}
        if is_over or due:
            flows.change(conn, flow, **values)
    if is_over:
        rt.live.tell(SubscriptionChanged(subscription_id, "active"))
    return moved


def _is_over(conn: Connection, flow: Flow) -> bool:
    """Whether nothing is held any more. Under an order, new ones are held behind: first make these wait for us."""
    if flows.any_held(conn, flow.subscription_id):
        return False
    if flow.policies.ordering is None:
        return True
    bump_routes(conn)
    return not flows.any_held(conn, flow.subscription_id)
