"""The checker: compares what was acknowledged, what is stored and what handlers really did.

It knows nothing of faults. Every rule here has a test that breaks it on purpose and expects to be told.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from tests.chaos import ledger
from tests.chaos.publisher import SOURCE, Acknowledged
from webapp.runtime import Runtime
from webapp.store.tables import attempts, deliveries, events

FINAL = {"succeeded", "dead", "cancelled", "skipped"}


@dataclass(slots=True)
class Stored:
    """Everything that the hub has on record about the events of this run."""

    events: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))  # by the sender's id
    deliveries: dict[str, Any] = field(default_factory=dict)
    attempts: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))  # by delivery


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken: which rule, for which event (the sender's id), in words."""

    rule: str
    event_id: str
    text: str


def judge(rt: Runtime, acknowledged: Iterable[Acknowledged], path: Path) -> list[Violation]:
    """Every broken promise."""
    stored = read(rt)
    found = [*_events(stored), *_acknowledged(stored, acknowledged)]
    done = ledger.well_done(path)
    for row in stored.deliveries.values():
        tries = sorted(stored.attempts[row.id], key=lambda one: (one.n, one.id))
        found.extend(Violation(rule, row.sender_id, text) for rule, text in _delivery(row, tries, done[row.id]))
    return found


def read(rt: Runtime, source: str = SOURCE) -> Stored:
    """The rows of all events of that source."""
    stored = Stored()
    with rt.db.read() as conn:
        for row in conn.execute(select(events).where(events.c.source == source)):
            stored.events[row.id].append(row)
        of_events = deliveries.join(events, events.c.uid == deliveries.c.event_uid)
        rows = select(deliveries, events.c.id.label("sender_id")).select_from(of_events)
        for row in conn.execute(rows.where(events.c.source == source)):
            stored.deliveries[row.id] = row
        tries = attempts.join(events, events.c.uid == attempts.c.event_uid)
        for row in conn.execute(select(attempts).select_from(tries).where(events.c.source == source)):
            stored.attempts[row.delivery_id].append(row)
    return stored


def _acknowledged(stored: Stored, acknowledged: Iterable[Acknowledged]) -> Iterator[Violation]:
    for one in acknowledged:
        uids = [row.uid for row in stored.events.get(one.id, ())]
        if one.uid not in uids:
            yield Violation("lost", one.id, f"{one.id} was acknowledged as {one.uid}; stored are {uids or 'none'}")
        for missing in set(one.deliveries) - stored.deliveries.keys():
            yield Violation("lost", one.id, f"{missing} of {one.id} was acknowledged and is not stored")


def _events(stored: Stored) -> Iterator[Violation]:
    of_event = defaultdict(list)
    for delivery in stored.deliveries.values():
        of_event[delivery.event_uid].append(delivery.state)
    for id, rows in stored.events.items():
        if len(rows) > 1:
            yield Violation("stored twice", id, f"{id} is stored {len(rows)} times")
        for row in rows:
            states = Counter(of_event[row.uid])
            actual = (states.total(), states["succeeded"], states["dead"] + states["cancelled"])
            counted = (row.total, row.succeeded, row.failed)
            if counted != actual or row.open != sum(n for state, n in states.items() if state not in FINAL):
                yield Violation("counts", id, f"{id} counts {counted}, {row.open} open; there are {dict(states)}")


def _delivery(row: Any, tries: list[Any], done: int) -> Iterator[tuple[str, str]]:
    outcomes = [one.outcome for one in tries]
    successes = outcomes.count("succeeded")
    if row.state not in FINAL:
        yield "no end", f"{row.id} is {row.state}, attempts {outcomes}"
    if successes > 1:
        yield "double success", f"{row.id} has {successes} recorded successes"
    if (row.state == "succeeded") != (successes > 0):
        yield "state", f"{row.id} is {row.state}, its attempts are {outcomes}"
    if successes and not done:
        yield "not done", f"{row.id} is recorded as succeeded, no handler ever carried it out"
    if [one.n for one in tries] != list(range(1, row.attempt + 1)):
        yield "attempts", f"{row.id} has made {row.attempt} attempts, on record are {[one.n for one in tries]}"
