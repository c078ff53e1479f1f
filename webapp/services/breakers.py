"""The circuit breaker of a subscription at work: opened by failures, probed by the beat, closed by a probe's success.

Looked at after outcomes were recorded, and only for subscriptions that have one. Every step locks the subscription,
looks again and then compares and sets, so any number of workers and beats may take it at the same time.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from webapp.domain.access import SYSTEM, Actor
from webapp.domain.breaker import (
    RECOVERY_PACE,
    BreakerState,
    Standing,
    Verdict,
    has_failed_too_long,
    judge,
    open_at,
    probe_at,
    trips,
)
from webapp.domain.errors import Conflict, NotFound
from webapp.domain.policies import Breaker
from webapp.domain.retry import format_duration
from webapp.live import SubscriptionChanged
from webapp.runtime import Runtime
from webapp.services import flow as flow_of
from webapp.services import subscriptions, trail
from webapp.services.notify import Severity, notify
from webapp.store import breakers
from webapp.store import flow as flows
from webapp.store.audit import Target
from webapp.store.deliveries import Finished
from webapp.store.flow import NO_LIMIT, Flow
from webapp.store.subscriptions import bump_routes

log = logging.getLogger(__name__)


def review(rt: Runtime, rows: Sequence[Finished]) -> None:
    """Look at the breakers of what was just recorded. Never raises: the outcomes are written, the beat looks again."""
    watched = [row for row in rows if row.claimed.breaker is not None]
    if not watched:
        return
    try:
        with rt.db.read() as conn:
            concerned = set(breakers.probing_with(conn, [row.claimed.id for row in watched]))
        concerned |= {row.claimed.subscription_id for row in watched if _has_failed(row)}
        for subscription_id in sorted(concerned):
            look(rt, subscription_id)
    except Exception:
        log.exception("breakers could not be looked at", extra={"action": "breaker_review_failed"})


def _has_failed(row: Finished) -> bool:
    return row.settlement.counts and row.settlement.outcome in breakers.FAILED_OUTCOMES


def look(rt: Runtime, subscription_id: str) -> None:
    """Open it if too much fails; if its probe is over, do what that asks for."""
    with rt.db.read() as conn:
        flow = flows.find(conn, subscription_id)
        is_tripped = flow is not None and _tries_that_trip(rt, conn, flow) is not None
    if flow is None:
        return
    if is_tripped:
        open_tripped(rt, subscription_id)
    elif flow.standing.state is BreakerState.HALF_OPEN:
        judge_probe(rt, subscription_id)


def _tries_that_trip(rt: Runtime, conn: Connection, flow: Flow) -> dict[str, Any] | None:
    policy, now = flow.policies.breaker, rt.clock()
    if policy is None or flow.standing.holds:
        return None
    tries = breakers.recent_tries(conn, flow, policy.window, now)
    return {"tries": tries.total, "failed": tries.failed} if trips(policy, tries) else None


def open_tripped(rt: Runtime, subscription_id: str) -> bool:
    """Open a closed breaker whose tries failed too often; answers whether this call did it."""
    now = rt.clock()
    with rt.db.write() as conn:
        flow = flows.lock(conn, subscription_id)
        why = _tries_that_trip(rt, conn, flow) if flow else None
        if flow is None or why is None or flow.policies.breaker is None:
            return False
        if not _set(conn, flow, open_at(flow.policies.breaker, now)):
            return False
        bump_routes(conn)
        _write_audit(rt, conn, SYSTEM, "breaker.opened", flow, why)
    flow_of.hold(rt, subscription_id)
    body = (
        f"{why['failed']:,} of {why['tries']:,} tries failed. Its deliveries are held; one is let through as a probe."
    )
    _tell(rt, flow, "open", "warning", f"The breaker of {flow.name} opened", body)
    return True


def judge_probe(rt: Runtime, subscription_id: str) -> None:
    """Close a half-open breaker whose probe succeeded; open it again when it failed."""
    now = rt.clock()
    with rt.db.write() as conn:
        flow = flows.lock(conn, subscription_id)
        if flow is None or flow.standing.state is not BreakerState.HALF_OPEN or flow.policies.breaker is None:
            return
        verdict = breakers.verdict_of(conn, flow)
        if verdict is None:
            return
        if verdict is Verdict.SUCCEEDED:
            has_closed = _close(rt, conn, SYSTEM, flow, {"probe": flow.probe_id})
        else:
            has_closed = False
            _set(conn, flow, judge(flow.standing, verdict, flow.policies.breaker, now))
    if has_closed:
        _after_closing(rt, flow, "A probe succeeded.")
    else:
        rt.live.tell(SubscriptionChanged(subscription_id, "open"))


def let_probe_through(rt: Runtime, subscription_id: str) -> str | None:
    """Half-open a breaker whose time has come, and let the oldest held delivery go; answers its id.

    With nothing held there is nothing to learn from: it stays open until something comes.
    """
    now = rt.clock()
    with rt.db.write() as conn:
        flow = flows.lock(conn, subscription_id)
        standing = probe_at(flow.standing, now) if flow and flow.paused_at is None else None
        if flow is None or standing is None:
            return None
        probe = flows.release_probe(conn, flow, now)
        if probe is None or not _set(conn, flow, standing, probe):
            return None
    rt.queue.ring("default")
    rt.live.tell(SubscriptionChanged(subscription_id, "half_open"))
    return probe[0]


def close_unwatched(rt: Runtime, subscription_id: str) -> None:
    """Close a breaker whose policy was taken away while it was open."""
    with rt.db.write() as conn:
        flow = flows.lock(conn, subscription_id)
        if flow is None or not flow.standing.holds or flow.policies.breaker is not None:
            return
        has_closed = _close(rt, conn, SYSTEM, flow, {"why": "the subscription has no breaker any more"})
    if has_closed:
        _after_closing(rt, flow, "The subscription has no breaker any more.")


def disable(rt: Runtime, subscription_id: str) -> bool:
    """Pause a subscription whose breaker was not closed for too long; answers whether this call did it."""
    with rt.db.read() as conn:
        flow = flows.find(conn, subscription_id)
    policy = flow.policies.breaker if flow else None
    if flow is None or policy is None or policy.disable_after is None or flow.paused_at is not None:
        return False
    if not has_failed_too_long(flow.standing, policy, rt.clock()):
        return False
    reason = f"disabled after failing for {format_duration(policy.disable_after)}"
    try:
        subscriptions.pause(rt, SYSTEM, subscription_id, reason)
    except (Conflict, NotFound):
        return False  # another beat, or a person, was faster
    body = f"It was {reason}. It stays paused until somebody resumes it."
    _tell(rt, flow, "paused", "error", f"{flow.name} is paused", body)
    return True


def open_now(rt: Runtime, actor: Actor, subscription_id: str) -> None:
    """Open a closed breaker by hand."""
    actor.must("operate")
    with rt.db.write() as conn:
        flow, policy = _breaker_of(flows.lock(conn, subscription_id), subscription_id)
        if flow.standing.holds:
            raise Conflict("The breaker is open already.")
        _must_be_set(_set(conn, flow, open_at(policy, rt.clock())))
        bump_routes(conn)
        _write_audit(rt, conn, actor, "breaker.opened", flow, {"why": "by hand"})
    flow_of.hold(rt, subscription_id)
    rt.live.tell(SubscriptionChanged(subscription_id, "open"))


def close_now(rt: Runtime, actor: Actor, subscription_id: str) -> None:
    """Close an open or half-open breaker by hand; what it held is let go."""
    actor.must("operate")
    with rt.db.write() as conn:
        flow, _ = _breaker_of(flows.lock(conn, subscription_id), subscription_id)
        if not flow.standing.holds:
            raise Conflict("The breaker is closed already.")
        _must_be_set(_close(rt, conn, actor, flow, {"why": "by hand"}))
    _release(rt, flow)
    rt.live.tell(SubscriptionChanged(subscription_id, "closed"))


def _breaker_of(flow: Flow | None, subscription_id: str) -> tuple[Flow, Breaker]:
    if flow is None:
        raise NotFound(f"There is no subscription {subscription_id[:80]!r}.")
    if flow.policies.breaker is None:
        raise Conflict("This subscription has no circuit breaker.")
    return flow, flow.policies.breaker


def _must_be_set(was_set: bool) -> None:
    if not was_set:
        raise Conflict("The breaker changed meanwhile; look at it again.")


def _set(conn: Connection, flow: Flow, standing: Standing, probe: tuple[str, int] | None = None, **more: Any) -> bool:
    delivery_id, attempt = probe or (None, None)
    return flows.change(
        conn,
        flow,
        breaker=str(standing.state),
        opened_at=standing.opened_at,
        probe_at=standing.probe_at,
        probe_id=delivery_id,
        probe_attempt=attempt,
        **more,
    )


def _close(rt: Runtime, conn: Connection, actor: Actor, flow: Flow, details: dict[str, Any]) -> bool:
    """Closed, counting from now on; what is held is let go at a pace, unless the subscription is paused."""
    now = rt.clock()
    base = breakers.tries_of_minute(conn, flow.subscription_id, now)
    more: dict[str, Any] = {"counted_from": now, "base_succeeded": base.succeeded, "base_failed": base.failed}
    if flow.paused_at is None:
        more |= flow_of.begin_release(conn, flow, _pace_of(flow), now)
    if not _set(conn, flow, Standing(), **more):
        return False
    bump_routes(conn)
    _write_audit(rt, conn, actor, "breaker.closed", flow, details)
    return True


def _pace_of(flow: Flow) -> float:
    """That of a release which the breaker interrupted, else one that what was down can stand."""
    return flow.pace if flow.pace is not None and flow.pace > NO_LIMIT else RECOVERY_PACE


def _after_closing(rt: Runtime, flow: Flow, why: str) -> None:
    _release(rt, flow)
    _tell(rt, flow, "closed", "success", f"The breaker of {flow.name} closed", f"{why} What was held runs now.")


def _release(rt: Runtime, flow: Flow) -> None:
    flow_of.release(rt, flow.subscription_id)
    flow_of.name_reason(rt, flow.subscription_id)


def _tell(rt: Runtime, flow: Flow, state: str, severity: Severity, title: str, body: str) -> None:
    rt.live.tell(SubscriptionChanged(flow.subscription_id, state))
    try:
        about = {"link": f"/subscriptions/{flow.subscription_id}", "subscription_id": flow.subscription_id}
        key = f"breaker:{state}:{flow.subscription_id}"
        notify(rt, severity, title, body, kind="breaker", dedupe_key=key, **about)
    except Exception:
        log.exception("people could not be notified", extra={"action": "breaker_notice_lost"})


def _write_audit(rt: Runtime, conn: Connection, actor: Actor, action: str, flow: Flow, details: dict[str, Any]) -> None:
    trail.leave(rt, conn, actor, action, Target("subscription", flow.subscription_id, flow.name), details)
