"""Creating, editing, restoring, pausing and deleting routing rules; audited, compare-and-set, told to browsers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from webapp.domain.access import Actor
from webapp.domain.breaker import restarted
from webapp.domain.errors import Conflict
from webapp.domain.instants import iso
from webapp.domain.pauses import REASON_CHARS
from webapp.domain.subscriptions import SubscriptionDraft, parse_subscription
from webapp.live import SubscriptionChanged
from webapp.runtime import Runtime
from webapp.services import flow as flow_of
from webapp.services import rule_changes
from webapp.services.catalog import known_handlers
from webapp.store import flow as flows
from webapp.store import subscriptions, versions


def create(rt: Runtime, actor: Actor, draft: SubscriptionDraft, note: str = "") -> str:
    """Store a new rule; it routes every event accepted from now on. Answers its id."""
    actor.must("design")
    with rt.db.write() as conn:
        subscription_id = rule_changes.add(rt, conn, actor, draft, note=note)
    rt.live.tell(SubscriptionChanged(subscription_id, "active"))
    return subscription_id


def update(
    rt: Runtime,
    actor: Actor,
    subscription_id: str,
    draft: SubscriptionDraft,
    revision: int | None = None,
    note: str = "",
) -> None:
    """Change a rule. With ``revision``, only if nobody changed it meanwhile (``Conflict``)."""
    actor.must("design")
    with rt.db.write() as conn:
        before = subscriptions.get_subscription(conn, subscription_id)
        rule_changes.change(rt, conn, actor, before, draft, revision=revision, note=note)
    rt.live.tell(SubscriptionChanged(subscription_id, ""))


def restore(
    rt: Runtime, actor: Actor, subscription_id: str, version: int, revision: int | None = None, note: str = ""
) -> None:
    """Make a rule again what it was, as a new revision. Raises ``Refused`` when its handler is not offered any more."""
    actor.must("design")
    known = known_handlers(rt)
    with rt.db.write() as conn:
        before = subscriptions.get_subscription(conn, subscription_id)
        draft = parse_subscription(versions.get(conn, subscription_id, version).document, known)
        said = f"version {version}" + (f": {note}" if note else "")
        rule_changes.change(rt, conn, actor, before, draft, revision=revision, action="restored", note=said)
    rt.live.tell(SubscriptionChanged(subscription_id, ""))


def pause(rt: Runtime, actor: Actor, subscription_id: str, reason: str = "", resume_at: datetime | None = None) -> int:
    """Hold its due deliveries and all that come, until ``resume_at`` or for good; answers how many were held.

    What runs, runs on. A release that was under way ends.
    """
    actor.must("operate")
    now = rt.clock()
    with rt.db.write() as conn:
        row = subscriptions.get_subscription(conn, subscription_id)
        if row.paused_at is not None:
            raise Conflict("This subscription is paused already.")
        values = {"paused_at": now, "pause_reason": reason[:REASON_CHARS] or None, "resume_at": resume_at}
        subscriptions.change_subscription(conn, subscription_id, revision=row.revision, at=now, **values)
        flow = flows.find(conn, subscription_id)
        if flow is not None and flow.pace is not None:
            flows.change(conn, flow, release_pace=None, released_at=None)
        held = flows.count_due(conn, subscription_id)
        details = {"reason": reason[:REASON_CHARS], "held": held} | _resumes(resume_at)
        rule_changes.leave(rt, conn, actor, "subscription.paused", subscription_id, row.name, details)
    flow_of.hold(rt, subscription_id)
    flow_of.name_reason(rt, subscription_id)
    rt.live.tell(SubscriptionChanged(subscription_id, "paused"))
    return held


def _resumes(resume_at: datetime | None) -> dict[str, Any]:
    return {} if resume_at is None else {"resume_at": iso(resume_at)}


def resume(rt: Runtime, actor: Actor, subscription_id: str, pace: float | None = None) -> int:
    """Let its held deliveries run, ``pace`` of them a second or as fast as it goes; answers how many there were.

    A release that is under way gets the new pace. While the breaker is not closed they stay held; it probes at once.
    """
    actor.must("operate")
    now = rt.clock()
    with rt.db.write() as conn:
        row = subscriptions.get_subscription(conn, subscription_id)
        flow = flows.lock(conn, subscription_id)
        if row.paused_at is None and (flow is None or flow.pace is None):
            raise Conflict("This subscription is not paused.")
        values = {"paused_at": None, "pause_reason": None, "resume_at": None}
        subscriptions.change_subscription(conn, subscription_id, revision=row.revision, at=now, **values)
        released = _begin_release(rt, conn, subscription_id, pace)
        details = {"released": released} | ({} if pace is None else {"pace": pace})
        rule_changes.leave(rt, conn, actor, "subscription.resumed", subscription_id, row.name, details)
    flow_of.release(rt, subscription_id)
    flow_of.name_reason(rt, subscription_id)
    rt.live.tell(SubscriptionChanged(subscription_id, "active"))
    return released


def _begin_release(rt: Runtime, conn: Connection, subscription_id: str, pace: float | None) -> int:
    """Start to let go what is held, unless the breaker holds it: that one probes at once. Answers how many."""
    now, flow = rt.clock(), flows.find(conn, subscription_id)
    if flow is None:
        return 0
    if flow.standing.holds:
        standing = restarted(flow.standing, now)
        kept = {"release_pace": pace, "released_at": None}  # for when it closes
        flows.change(conn, flow, breaker=str(standing.state), opened_at=now, probe_at=now, probe_id=None, **kept)
        return 0
    held = flows.count_held(conn, subscription_id)
    if held or flow.pace is not None:
        flows.change(conn, flow, **flow_of.begin_release(conn, flow, pace, now))
    return held


def delete(rt: Runtime, actor: Actor, subscription_id: str) -> int:
    """Stop routing to it and cancel what has not ended; answers how many were cancelled. History keeps its name."""
    actor.must("design")
    with rt.db.write() as conn:
        row = subscriptions.get_subscription(conn, subscription_id)
        cancelled = rule_changes.remove(rt, conn, actor, row, rt.clock())
    rt.live.tell(SubscriptionChanged(subscription_id, "deleted"))
    return cancelled
