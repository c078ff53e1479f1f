"""What people do about deliveries that need action: retry a whole group, or dismiss them. One audited operation each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, Fault, Refused
from webapp.live import EventChanged
from webapp.runtime import Runtime
from webapp.services import trail
from webapp.store import feed_needs, needs, operations, subscriptions
from webapp.store.audit import Target
from webapp.store.feed_needs import GroupKey
from webapp.store.flow import hold_blocked

AT_ONCE = 1_000  # of a group in one request; more is for a bulk operation
REASON_CHARS = 500
NAMED = 100  # deliveries that the audit entry names
TOLD = 50


def retry_group(rt: Runtime, actor: Actor, key: GroupKey, reason: str = "") -> int:
    """Try the newest ``AT_ONCE`` of a group again with all their tries; answers how many.

    Without a reason, what they died of is the reason that the audit log has.
    """
    actor.must("operate")
    with rt.db.write() as conn:
        subscription = subscriptions.get_subscription(conn, key.subscription_id)
        said = reason.strip() or _died_of(conn, key)
        revived = needs.revive_many(conn, _ids(conn, key), rt.clock())
        ids = [row.id for row in revived]
        hold_blocked(conn, ids)
        _write_audit(rt, conn, actor, "deliveries.retried", subscription.id, subscription.name, ids, said)
    if any(row.lane == "default" for row in revived):
        rt.queue.ring("default")
    rt.live.tell(*(EventChanged(uid, "") for uid in list(dict.fromkeys(row.event_uid for row in revived))[:TOLD]))
    return len(revived)


def dismiss_group(rt: Runtime, actor: Actor, key: GroupKey, reason: str) -> int:
    """Say of the newest ``AT_ONCE`` of a group that nothing needs to be done; answers how many. They stay dead."""
    actor.must("operate")
    said = _said(reason)
    with rt.db.write() as conn:
        group = feed_needs.find_group(conn, key)
        ids = needs.dismiss(conn, _ids(conn, key), at=rt.clock(), by=actor.name)
        name = "" if group is None else group.subscription_name
        _write_audit(rt, conn, actor, "deliveries.dismissed", key.subscription_id, name, ids, said)
    return len(ids)


def dismiss(rt: Runtime, actor: Actor, delivery_id: str, reason: str) -> None:
    """Say of one dead delivery that nothing needs to be done. It stays dead."""
    actor.must("operate")
    said = _said(reason)
    with rt.db.write() as conn:
        row = operations.get_delivery_row(conn, delivery_id)
        if not needs.dismiss(conn, [delivery_id], at=rt.clock(), by=actor.name):
            raise Conflict("Only a dead delivery that nobody has dismissed yet can be dismissed.")
        details = {"event": row.event_uid, "reason": said}
        trail.leave(rt, conn, actor, "delivery.dismissed", Target("delivery", row.id), details)
    rt.live.tell(EventChanged(row.event_uid, ""))


def _ids(conn: Connection, key: GroupKey) -> list[str]:
    ids = feed_needs.ids_of_group(conn, key, AT_ONCE)
    if not ids:
        raise Conflict("Nothing of this group needs action any more; look at the list again.")
    return ids


def _died_of(conn: Connection, key: GroupKey) -> str:
    group = feed_needs.find_group(conn, key)
    return "" if group is None else f"all of: {group.error_type or group.reason} {group.message}".strip()


def _said(reason: str) -> str:
    said = reason.strip()[:REASON_CHARS]
    if not said:
        detail = "Say why nothing needs to be done; it is kept in the audit log."
        raise Refused("invalid-reason", detail, faults=(Fault("/reason", "required", detail),))
    return said


def _write_audit(
    rt: Runtime, conn: Connection, actor: Actor, action: str, target: str, name: str, ids: Sequence[str], reason: str
) -> None:
    details: dict[str, Any] = {"count": len(ids), "reason": reason.strip()[:REASON_CHARS]}
    details |= {"deliveries": list(ids[:NAMED])}
    trail.leave(rt, conn, actor, action, Target("subscription", target, name), details)
