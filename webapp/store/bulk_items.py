"""One step of a bulk operation: many items in one transaction, each moved by the compare-and-set of a single one.

Items are taken in the order of their events: workers that finish lock events in that order too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, Select, exc, func, select, update

from webapp.domain.conditions import event_view
from webapp.domain.errors import HubError
from webapp.domain.events import Event
from webapp.domain.intake import columns_of
from webapp.domain.lifecycle import FINAL, Verb
from webapp.domain.routing import RouteTable, Rule
from webapp.store import cancels, operations
from webapp.store.engine import within
from webapp.store.events import EVENT_COLUMNS, event_of_columns, shift_counts
from webapp.store.flow import hold_blocked
from webapp.store.tables import deliveries, events, subscriptions

NewId = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Step:
    """What a step works with."""

    conn: Connection
    operation_id: str
    by: str  # name of the person
    now: datetime
    new_id: NewId


@dataclass(slots=True)
class Results:
    """What became of the items of a step, by target id. ``moved``: the deliveries that were moved or made."""

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)  # delivery id -> event uid


def retry(step: Step, ids: Sequence[str]) -> Results:
    """Waiting ones do not wait, dead ones get all their tries again."""
    rows = _rows(step.conn, ids)
    gone = {row.id for row in rows if row.deleted_at is not None}
    alive = [row.id for row in rows if row.id not in gone]
    revived = operations.move_many(step.conn, alive, Verb.REVIVE, operations.revived_values(step.now))
    hastened = operations.move_many(step.conn, alive, Verb.HASTEN, {"state": "pending", "due_at": step.now})
    shift_counts(step.conn, {uid: (n, 0, -n) for uid, n in Counter(revived.values()).items()})
    results = Results(failed=dict.fromkeys(sorted(gone), "Its subscription was deleted."), moved=revived | hastened)
    for id in alive:
        (results.done if id in results.moved else results.skipped).append(id)
    _finish(step, results)
    return results


def rerun(step: Step, ids: Sequence[str]) -> Results:
    """A new delivery of the same event to the same subscription for each."""
    results = Results()
    for row in _rows(step.conn, ids):
        if row.deleted_at is not None:
            results.failed[row.id] = "Its subscription was deleted."
        elif row.state not in FINAL:
            results.skipped.append(row.id)
        else:
            _one(step, results, row.id, partial(_rerun_one, step, row, results))
    _finish(step, results)
    return results


def cancel(step: Step, ids: Sequence[str]) -> Results:
    """What does not run ends at once; of what runs the end is asked for."""
    ended = cancels.cancel_open(step.conn, ids, at=step.now, by=step.by)
    moved = {*ended.ended, *ended.asked}
    results = Results(done=[id for id in ids if id in moved], skipped=[id for id in ids if id not in moved])
    results.moved = {row.id: row.event_uid for row in _rows(step.conn, results.done)}
    _mark(step, results.done)
    return results


def replay(step: Step, uids: Sequence[str], rules: Sequence[Rule] | None) -> Results:
    """Each event again: for these rules if it went there or they match it now, or (None) for all that it went to."""
    results, table = Results(), RouteTable(rules or ())
    wanted = None if rules is None else {rule.id for rule in rules}
    contents = select(*EVENT_COLUMNS).where(within(step.conn, events.c.uid, list(uids))).order_by(events.c.uid)
    for row in step.conn.execute(contents).all():
        event = event_of_columns(row)
        matched = {one.rule.id: one.rule for one in table.route(event, step.now) if one.matched}
        _one(step, results, event.uid, partial(_replay_one, step, event, wanted, matched, results))
    _finish(step, results)
    return results


def states_of(conn: Connection, uids: Sequence[str], subscription_ids: Sequence[str]) -> dict[str, int]:
    """How many deliveries of these events (to these subscriptions, or to any) are in each state."""
    d = deliveries.c
    query = select(d.state, func.count().label("n")).where(within(conn, d.event_uid, list(uids))).group_by(d.state)
    if subscription_ids:
        query = query.where(d.subscription_id.in_(subscription_ids))
    return {row.state: row.n for row in conn.execute(query)}


def _rerun_one(step: Step, row: Row[Any], results: Results) -> bool:
    new_id = step.new_id("dlv")
    operations.add_rerun(step.conn, row, new_id, step.now)
    results.moved[new_id] = row.event_uid
    return True


def _replay_one(step: Step, event: Event, wanted: set[str] | None, matched: dict[str, Rule], results: Results) -> bool:
    last = {row.subscription_id: row for row in _last_of(step.conn, event.uid)}
    made = False
    for row in last.values():
        if (wanted is None or row.subscription_id in wanted) and row.deleted_at is None and row.state in FINAL:
            made = _rerun_one(step, row, results) or made
    for rule in matched.values():
        if rule.id not in last and rule.mode == "live":
            made = _add_first(step, event, rule, results) or made
    return made


def _add_first(step: Step, event: Event, rule: Rule, results: Results) -> bool:
    """The first delivery of an event to a subscription that did not get it when it came."""
    new_id = step.new_id("dlv")
    row = {
        "id": new_id, "event_uid": event.uid, "subscription_id": rule.id, "handler": rule.handler, "lane": rule.lane,
        "state": "held" if rule.held else "pending", "due_at": step.now, "created_at": step.now,
    }  # fmt: skip
    if not rule.is_plain:
        row |= columns_of(rule, event_view(event, step.now), step.now, step.now)
    grown = {"total": events.c.total + 1, "open": events.c.open + 1}
    step.conn.execute(update(events).where(events.c.uid == event.uid).values(**grown))
    step.conn.execute(deliveries.insert(), row)
    results.moved[new_id] = event.uid
    return True


def _last_of(conn: Connection, event_uid: str) -> Sequence[Row[Any]]:
    """The last delivery of an event to each subscription, oldest subscription first; the event is locked first."""
    conn.execute(update(events).where(events.c.uid == event_uid).values(total=events.c.total))
    d, later = deliveries.c, deliveries.alias()
    again = select(later.c.id).where(
        later.c.event_uid == d.event_uid, later.c.subscription_id == d.subscription_id, later.c.replay > d.replay
    )
    query = _with_subscription().where(d.event_uid == event_uid, ~again.exists())
    return conn.execute(query.order_by(d.subscription_id)).all()


def _rows(conn: Connection, ids: Sequence[str]) -> Sequence[Row[Any]]:
    query = _with_subscription().where(within(conn, deliveries.c.id, list(ids)))
    return conn.execute(query.order_by(deliveries.c.event_uid, deliveries.c.id)).all()


def _with_subscription() -> Select[Any]:
    joined = deliveries.join(subscriptions, subscriptions.c.id == deliveries.c.subscription_id)
    return select(deliveries, subscriptions.c.deleted_at).select_from(joined)


def _one(step: Step, results: Results, target: str, act: Callable[[], bool]) -> None:
    """One item; what it did is undone when it fails, and the others go on."""
    before = dict(results.moved)
    try:
        with step.conn.begin_nested():
            moved = act()
    except (HubError, exc.IntegrityError) as error:
        results.moved = before
        results.failed[target] = error.detail if isinstance(error, HubError) else "It changed at the same moment."
        return
    (results.done if moved else results.skipped).append(target)


def _finish(step: Step, results: Results) -> None:
    hold_blocked(step.conn, list(results.moved))
    _mark(step, list(results.moved))


def _mark(step: Step, ids: Sequence[str]) -> None:
    if ids:
        marked = update(deliveries).where(within(step.conn, deliveries.c.id, list(ids)))
        step.conn.execute(marked.values(operation_id=step.operation_id))
