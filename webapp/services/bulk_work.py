"""Doing bulk operations in the background: step by step, each in one transaction with the progress that it made.

A step holds the operation's row, so two beats never work on one at once; a beat that died loses nothing but its
last, uncommitted step. First everything is counted, then it is acted on, oldest first.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from webapp.domain.access import SYSTEM, Actor
from webapp.domain.breaker import allowance
from webapp.domain.bulk import ACTS_ON, Kind, Standing, share_too_high
from webapp.domain.instants import iso, parse_instant
from webapp.domain.lifecycle import FINAL, OPEN
from webapp.domain.progress import paced
from webapp.domain.selections import parse_selection
from webapp.live import BulkChanged, EventChanged
from webapp.runtime import Runtime
from webapp.services import trail
from webapp.services.notify import Severity, notify
from webapp.store import audit, bulk_items, bulk_operations, selection_sql, subscriptions
from webapp.store.audit import Target
from webapp.store.bulk_items import Results
from webapp.store.selection_sql import Scope

LEASE = timedelta(seconds=10)
BUDGET_S = 0.2
ITEMS = 50  # of one step
LOOKED_AT = 250  # rows of one step
JUDGED_AT_ONCE, JUDGE_EVERY = 1_000, 10  # items; steps from then on: counting outcomes grows with them
SETTLES = timedelta(days=7)  # how long after its end an operation's outcomes are followed
ACTIONS = {Kind.RETRY: "delivery.retried", Kind.RERUN: "delivery.rerun", Kind.CANCEL: "delivery.cancelled", Kind.REPLAY: "event.replayed"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Made:
    """What a step made of an operation, told after the commit."""

    state: str
    more: bool  # there is more to do at once
    event_uids: frozenset[str] = frozenset()
    ended: tuple[str, str] | None = None  # severity and words for a notification


def advance(rt: Runtime, owner: str, budget_s: float = BUDGET_S) -> bool:
    """Go on with every operation that runs, for about ``budget_s`` in all; answers whether more is to be done now."""
    until, more = time.monotonic() + budget_s, False
    with rt.db.read() as conn:
        ids = bulk_operations.running(conn, owner, rt.clock())
    for operation_id in ids:
        made = _step(rt, owner, operation_id)
        while made is not None and made.more and time.monotonic() < until:
            made = _step(rt, owner, operation_id)
        more = more or (made is not None and made.more)
    return more


def _step(rt: Runtime, owner: str, operation_id: str) -> Made | None:
    with rt.db.write() as conn:
        row = bulk_operations.lease(conn, operation_id, owner, rt.clock(), rt.clock() + LEASE)
        if row is None:
            return None
        made = _act(rt, conn, row) if row.options.get("counted") else _count(rt, conn, row)
    if made.event_uids:
        rt.queue.ring("default")
    rt.live.tell(BulkChanged(operation_id, made.state), *(EventChanged(uid, "") for uid in made.event_uids))
    if made.ended is not None:
        severity, words = made.ended
        title = f"Bulk {row.kind} {made.state}: {row.reason}"
        tone: Severity = "success" if severity == "success" else "warning"
        link, key = f"/bulk/{operation_id}", f"bulk:{operation_id}"
        notify(rt, tone, title, words, kind="bulk_ended", link=link, dedupe_key=key)
    return made


def _scope(row: Any) -> Scope:
    return Scope(parse_selection(row.selection, row.created_at), row.created_at, ACTS_ON.get(Kind(row.kind)))


def _count(rt: Runtime, conn: Connection, row: Any) -> Made:
    """Count what is selected, a window at a time: ``total``, and ``before`` by state."""
    window = selection_sql.walk(conn, _scope(row), row.cursor)
    before = Counter(row.before or {})
    if row.kind != Kind.REPLAY:
        before.update(found.state for found in window.rows)
    else:
        uids = [found.target for found in window.rows]
        before.update(bulk_items.states_of(conn, uids, parse_selection(row.selection, row.created_at).subscription))
    now = rt.clock()
    counted = {} if window.next else {"counted": True, "paced_at": iso(now), "speed": paced(None, 0, now)}
    total = row.total + len(window.rows)
    options = row.options | counted
    bulk_operations.save(conn, row.id, now, total=total, before=dict(before), cursor=window.next, options=options)
    return Made(row.state, more=True)


def _act(rt: Runtime, conn: Connection, row: Any) -> Made:
    due, options = _due(rt, row)
    if due == 0:
        return Made(row.state, more=False)
    window = selection_sql.walk(conn, _scope(row), row.cursor, LOOKED_AT)
    targets = [found.target for found in window.rows]
    chosen, rest = targets[:due], targets[due:]
    results = _do(rt, conn, row, chosen)
    cursor = chosen[-1] if rest else window.next
    is_over = not rest and window.next is None
    is_judged = is_over or row.done < JUDGED_AT_ONCE or row.v % JUDGE_EVERY == 0
    after = bulk_operations.outcomes_of(conn, row.id) if is_judged else row.after
    counts = {
        "done": row.done + len(results.done),
        "failed": row.failed + len(results.failed),
        "skipped": row.skipped + len(results.skipped),
    }
    if is_over:  # those that had changed before their turn were not found any more
        counts["skipped"] = max(counts["skipped"], row.total - counts["done"] - counts["failed"])
    if targets:
        options = options | {"speed": paced(options.get("speed"), sum(counts.values()), rt.clock())}
    bulk_operations.add_errors(conn, row.id, results.failed, rt.clock())
    bulk_operations.save(conn, row.id, rt.clock(), cursor=cursor, after=after, options=options, **counts)
    why = _too_many_failures(row, counts, after)
    uids = frozenset(results.moved.values())
    if why or is_over:
        return _end(rt, conn, row, counts, why, uids)
    return Made(row.state, more=row.pace is None, event_uids=uids)


def _due(rt: Runtime, row: Any) -> tuple[int, dict[str, Any]]:
    """How many items the pace allows now, and the options that remember it."""
    if row.pace is None:
        return ITEMS, row.options
    due, until = allowance(row.pace, parse_instant(row.options["paced_at"]), rt.clock(), ITEMS)
    return due, row.options | {"paced_at": iso(until)}


def _do(rt: Runtime, conn: Connection, row: Any, targets: list[str]) -> Results:
    step = bulk_items.Step(conn, row.id, row.actor_name, rt.clock(), rt.new_id)
    if not targets:
        return Results()
    if row.kind == Kind.REPLAY:
        wanted = set(row.selection.get("subscription", ()))
        rules = [rule for rule in subscriptions.load_rules(conn) if rule.id in wanted] if wanted else None
        results = bulk_items.replay(step, targets, rules)
    else:
        results = DOES[Kind(row.kind)](step, targets)
    actor = Actor(row.actor_kind, row.actor_id, row.actor_name)
    entries = [
        audit.entry(
            id=rt.new_id("aud"), at=rt.clock(), actor=actor, action=ACTIONS[Kind(row.kind)],
            target_kind="event" if row.kind == Kind.REPLAY else "delivery", target_id=target,
            details={"bulk": row.id},
        )
        for target in results.done
    ]  # fmt: skip
    audit.add_many(conn, entries)
    return results


DOES: Mapping[Kind, Callable[[bulk_items.Step, list[str]], Results]] = {
    Kind.RETRY: bulk_items.retry,
    Kind.RERUN: bulk_items.rerun,
    Kind.CANCEL: bulk_items.cancel,
}


def _too_many_failures(row: Any, counts: Mapping[str, int], after: Mapping[str, int]) -> str | None:
    """Why it is to end early: too many items failed, or too many of the deliveries that it set going died."""
    judged = counts["failed"] + counts["done"]
    if share_too_high(counts["failed"], judged, row.abort_rate):
        return f"{counts['failed']} of {judged} items failed"
    ended, dead = sum(after.get(str(state), 0) for state in FINAL), after.get("dead", 0)
    if row.kind != Kind.CANCEL and share_too_high(dead, ended, row.abort_rate):
        return f"{dead} of {ended} deliveries that ended are dead"
    return None


def _end(
    rt: Runtime, conn: Connection, row: Any, counts: Mapping[str, int], why: str | None, uids: frozenset[str]
) -> Made:
    target = Standing.ABORTED if why else Standing.DONE
    bulk_operations.move(conn, row.id, (Standing.RUNNING,), target, rt.clock(), why)
    words = f"{counts['done']:,} of {row.total:,} done, {counts['failed']:,} failed, {counts['skipped']:,} skipped"
    action, name = "bulk.aborted" if why else "bulk.finished", f"{row.kind}: {row.reason}"[:200]
    details = dict(counts) | ({"why": why} if why else {})
    trail.leave(rt, conn, SYSTEM, action, Target("bulk", row.id, name), details)
    is_good = why is None and not counts["failed"]
    ended = ("success" if is_good else "warning", f"{why}; {words}" if why else words)
    return Made(str(target), more=False, event_uids=uids, ended=ended)


def settle(rt: Runtime) -> None:
    """Write down anew what became of the deliveries of operations that ended lately, until all have ended."""
    with rt.db.read() as conn:
        rows = bulk_operations.unsettled(conn, rt.clock() - SETTLES)
        found = [(row, bulk_operations.outcomes_of(conn, row.id)) for row in rows if not row.options.get("settled")]
    for row, after in found:
        is_settled = not any(after.get(str(state)) for state in OPEN)
        if after == row.after and not is_settled:
            continue
        options = row.options | {"settled": is_settled}
        with rt.db.write() as conn:
            bulk_operations.save(conn, row.id, row.updated_at, after=after, options=options)
        rt.live.tell(BulkChanged(row.id, row.state))
