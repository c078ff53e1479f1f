"""Creating, editing, pausing and deleting routing rules; audited, compare-and-set, told to browsers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from webapp.domain.access import Actor
from webapp.domain.breaker import restarted
from webapp.domain.errors import Conflict
from webapp.domain.instants import iso
from webapp.domain.pauses import REASON_CHARS
from webapp.domain.subscriptions import SubscriptionDraft
from webapp.live import SubscriptionChanged
from webapp.runtime import Runtime
from webapp.services import flow as flow_of
from webapp.services import secrets
from webapp.store import audit, cancels, operations, subscriptions
from webapp.store import flow as flows


def create(rt: Runtime, actor: Actor, draft: SubscriptionDraft) -> str:
    """Store a new rule; it routes every event accepted from now on. Answers its id."""
    actor.must("operate")
    now, subscription_id = rt.clock(), rt.new_id("sub")
    with rt.db.write() as conn:
        draft = replace(draft, options=secrets.settled_options(conn, draft.options, {}))
        row = {"id": subscription_id, "created_at": now, "updated_at": now, **_columns(draft)}
        subscriptions.add_subscription(conn, row)
        _write_audit(rt, conn, actor, "subscription.created", subscription_id, draft.name, _shown(draft))
    rt.live.tell(SubscriptionChanged(subscription_id, "active"))
    return subscription_id


def update(
    rt: Runtime, actor: Actor, subscription_id: str, draft: SubscriptionDraft, revision: int | None = None
) -> None:
    """Change a rule. With ``revision``, only if nobody changed it meanwhile (``Conflict``)."""
    actor.must("operate")
    with rt.db.write() as conn:
        before = subscriptions.get_subscription(conn, subscription_id)
        draft = replace(draft, options=secrets.settled_options(conn, draft.options, before.options))
        subscriptions.change_subscription(conn, subscription_id, revision=revision, at=rt.clock(), **_columns(draft))
        changes = _changes(before, draft)
        _write_audit(rt, conn, actor, "subscription.updated", subscription_id, draft.name, {"changes": changes})
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
        _write_audit(rt, conn, actor, "subscription.paused", subscription_id, row.name, details)
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
        _write_audit(rt, conn, actor, "subscription.resumed", subscription_id, row.name, details)
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
    actor.must("operate")
    now = rt.clock()
    with rt.db.write() as conn:
        row = subscriptions.get_subscription(conn, subscription_id)
        subscriptions.change_subscription(conn, subscription_id, revision=row.revision, at=now, deleted_at=now)
        cancelled = cancels.cancel_open(conn, operations.open_ids(conn, subscription_id), at=now, by=actor.name)
        details = {"cancelled": len(cancelled)}
        _write_audit(rt, conn, actor, "subscription.deleted", subscription_id, row.name, details)
    rt.live.tell(SubscriptionChanged(subscription_id, "deleted"))
    return len(cancelled)


def _columns(draft: SubscriptionDraft) -> dict[str, Any]:
    return {
        "name": draft.name,
        "pattern": draft.pattern,
        "condition": draft.condition,
        "handler": draft.handler,
        "options": dict(draft.options),
        "retry": draft.retry.to_json(),
        "timeout_ms": round(draft.timeout.total_seconds() * 1000),
        "policies": draft.policies.to_json(),
        "mode": draft.mode,
    }


def _changes(before: Any, draft: SubscriptionDraft) -> dict[str, Any]:
    """Before and after of what was changed; options may hold secrets, so only the fact that they changed."""
    changed = {name: after for name, after in _columns(draft).items() if getattr(before, name) != after}
    return {
        name: "changed" if name == "options" else {"before": getattr(before, name), "after": after}
        for name, after in changed.items()
    }


def _shown(draft: SubscriptionDraft) -> dict[str, Any]:
    """What the audit log keeps; options may hold secrets, so only their names."""
    shown = {key: value for key, value in _columns(draft).items() if key != "options"}
    return {**shown, "options": sorted(draft.options)}


def _write_audit(
    rt: Runtime, conn: Connection, actor: Actor, action: str, target: str, name: str, details: dict[str, Any]
) -> None:
    audit.add(
        conn,
        id=rt.new_id("aud"),
        at=rt.clock(),
        actor=actor,
        action=action,
        target_kind="subscription",
        target_id=target,
        target_name=name,
        details=details,
    )
