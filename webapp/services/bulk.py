"""Bulk operations as people ask for them: look first, start with a reason, pause, resume, abort.

The work itself is done in the background: ``services.bulk_work``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from webapp.domain.access import PAYLOADS, Actor
from webapp.domain.bulk import ACTS_ON, STEPS, BulkDraft, Kind, Standing
from webapp.domain.errors import Conflict, Fault, Forbidden, Refused
from webapp.domain.progress import rested
from webapp.live import BulkChanged
from webapp.runtime import Runtime
from webapp.services import trail
from webapp.store import bulk_operations, selection_sql, subscriptions
from webapp.store.audit import Target
from webapp.store.paging import COUNT_CAP
from webapp.store.selection_sql import Scope

SAMPLE = 10
LOOKS = 25  # windows that a preview looks into at most: it answers within a request
DONE_WORDS = {"pause": "paused", "resume": "resumed", "abort": "aborted"}


@dataclass(slots=True)
class Preview:
    """What an operation would act on now."""

    kind: Kind
    count: int = 0
    is_capped: bool = False  # there are that many, or more
    by_state: Counter[str] = field(default_factory=Counter)  # of deliveries
    sample: list[Any] = field(default_factory=list)  # the newest, as rows of ``selection_sql.walk``


def scope_of(draft: BulkDraft, now: Any, *, newest_first: bool = False) -> Scope:
    """What the operation walks."""
    return Scope(draft.selection, now, ACTS_ON.get(draft.kind), newest_first)


def _demand(actor: Actor, draft: BulkDraft) -> None:
    actor.must("operate")
    if draft.selection.to_json().get("event") and not actor.can(PAYLOADS):  # the count would tell what is inside
        raise Forbidden("A condition over events needs the permission to view payloads.")


def preview(rt: Runtime, actor: Actor, draft: BulkDraft) -> Preview:
    """Count what is selected and show the newest; stops at ``COUNT_CAP`` or after ``LOOKS`` windows."""
    _demand(actor, draft)
    scope, found, cursor = scope_of(draft, rt.clock(), newest_first=True), Preview(draft.kind), None
    for _ in range(LOOKS):
        with rt.db.read() as conn:
            window = selection_sql.walk(conn, scope, cursor)
        found.count += len(window.rows)
        if scope.states is not None:
            found.by_state.update(row.state for row in window.rows)
        found.sample += window.rows[: SAMPLE - len(found.sample)]
        cursor = window.next
        if cursor is None or found.count > COUNT_CAP:
            break
    found.is_capped = cursor is not None
    return found


def start(rt: Runtime, actor: Actor, draft: BulkDraft) -> str:
    """Write the operation down, to be done in the background; answers its id."""
    _demand(actor, draft)
    now, operation_id = rt.clock(), rt.new_id("blk")
    row = {
        "id": operation_id,
        "kind": str(draft.kind),
        "selection": draft.selection.to_json(),
        "options": {},
        "reason": draft.reason,
        "state": str(Standing.RUNNING),
        "pace": draft.pace,
        "abort_rate": draft.abort_rate,
        "actor_kind": actor.kind,
        "actor_id": actor.id[:64],
        "actor_name": actor.name,
        "created_at": now,
        "updated_at": now,
    }
    details = {"kind": str(draft.kind), "reason": draft.reason, "selection": row["selection"], "pace": draft.pace}
    with rt.db.write() as conn:
        _check_subscriptions(conn, draft)
        bulk_operations.add(conn, row)
        _write_audit(rt, conn, actor, "bulk.started", row, details)
    rt.live.tell(BulkChanged(operation_id, str(Standing.RUNNING)))
    return operation_id


def step(rt: Runtime, actor: Actor, operation_id: str, verb: str, why: str = "") -> None:
    """``pause``, ``resume`` or ``abort``."""
    actor.must("operate")
    sources, target = STEPS[verb]
    words = DONE_WORDS[verb]
    with rt.db.write() as conn:
        found = bulk_operations.get(conn, operation_id)
        reason = None if verb == "resume" else f"{words} by {actor.name}" + (f": {why}" if why else "")
        if not bulk_operations.move(conn, operation_id, sources, target, rt.clock(), reason):
            raise Conflict(f"This operation is {found.state}; it cannot be {words}.")
        if verb == "resume" and (speed := rested(found.options.get("speed"), rt.clock())):
            bulk_operations.save(conn, operation_id, rt.clock(), options=found.options | {"speed": speed})
        _write_audit(rt, conn, actor, f"bulk.{words}", found._mapping, {"why": why} if why else {})
    rt.live.tell(BulkChanged(operation_id, str(target)))


def _check_subscriptions(conn: Connection, draft: BulkDraft) -> None:
    """A replay goes to subscriptions that exist."""
    if draft.kind != Kind.REPLAY or not draft.selection.subscription:
        return
    known = {rule.id for rule in subscriptions.load_rules(conn)}
    faults = [
        Fault(f"/selection/subscription/{n}", "unknown", f"There is no subscription {id[:80]!r}.")
        for n, id in enumerate(draft.selection.subscription)
        if id not in known
    ]
    if faults:
        raise Refused("invalid-bulk", faults[0].message, faults=faults)


def _write_audit(rt: Runtime, conn: Connection, actor: Actor, action: str, row: Any, details: dict[str, Any]) -> None:
    name = f"{row['kind']}: {row['reason']}"[:200]
    trail.leave(rt, conn, actor, action, Target("bulk", row["id"], name), details)
