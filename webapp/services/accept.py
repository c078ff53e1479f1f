"""Accepting an event: route it, write it with its deliveries and its audit entry in one transaction, ring, tell.

Requests that arrive while a commit is under way share the next one (group commit): a commit costs
an fsync, and that cost is paid once per group. A lone request leads its own group and does not wait.
In a crowd the leader waits a moment for those who were there last time: they are on their way.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from webapp.domain.access import Actor
from webapp.domain.errors import Fault, Unavailable
from webapp.domain.events import EventDraft
from webapp.domain.routing import Considered, RouteTable, Rule
from webapp.live import EventChanged
from webapp.runtime import Runtime
from webapp.store import audit, events, subscriptions
from webapp.store.accepted import deliveries_of, insert_accepted
from webapp.store.counters import minute_of, raise_counts

log = logging.getLogger(__name__)

MAX_GROUP = 500
WAIT_S = 30.0
CROWD = 8  # requests at once; a group of fewer is not worth waiting for
GATHER_S = 0.02  # at most; with so many at once, each waits longer than that for its turn at the interpreter


@dataclass(frozen=True, slots=True)
class AcceptedDelivery:
    """One delivery of an accepted event."""

    id: str
    subscription_id: str
    subscription_name: str
    state: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to a publisher. For a duplicate it describes the original, as it stands now."""

    uid: str
    id: str
    duplicate: bool
    status: str
    deliveries: tuple[AcceptedDelivery, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be written for one event, under the routing of one revision."""

    revision: int
    matched: tuple[Rule, ...]
    event: dict[str, Any]
    deliveries: list[dict[str, Any]]
    audit: dict[str, Any]


@dataclass(slots=True, eq=False)
class _Ticket:
    """One request on its way through a group commit."""

    draft: EventDraft
    actor: Actor
    plan: _Plan
    gate: threading.Lock = field(default_factory=threading.Lock)  # held while the request has to wait
    answer: Accepted | None = None
    error: Exception | None = None
    leads: bool = False

    @property
    def uid(self) -> str:
        return str(self.plan.event["uid"])


class Acceptor:
    """The door for events, one per process. ``accept`` returns when the event is on disk."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._lock = threading.Lock()
        self._waiting: list[_Ticket] = []
        self._busy = False
        self._crowd = 0  # requests that were under way, waiting or in the group, when the last commit ended
        self._gathering: _Ticket | None = None  # the leader who waits for the others
        self._routes: tuple[int, RouteTable] = (-1, RouteTable([]))  # replaced as a whole: many threads read it

    def accept(self, draft: EventDraft, actor: Actor) -> Accepted:
        """Store and route one event. Raises ``Unavailable`` when it could not be stored."""
        # Routed and laid out before the group forms, each request in its own thread; checked in the transaction.
        ticket = _Ticket(draft, actor, _plan(self._rt, *self._routes, draft, actor))
        ticket.gate.acquire()
        with self._lock:
            self._waiting.append(ticket)
            ticket.leads = not self._busy
            self._busy = True
            gathering = self._gathering if len(self._waiting) >= self._enough() else None
            if gathering is not None:
                self._gathering = None
        if gathering is not None:
            gathering.gate.release()
        if not ticket.leads:
            self._wait(ticket)
        if ticket.leads:
            self._lead(ticket)
        if ticket.error is not None:
            raise ticket.error
        assert ticket.answer is not None
        return ticket.answer

    def _wait(self, ticket: _Ticket) -> None:
        """Until the ticket is answered or is to lead. A group under way is waited for: its outcome is not open."""
        while not ticket.gate.acquire(timeout=WAIT_S):
            with self._lock:
                if ticket in self._waiting and not ticket.leads:
                    self._waiting.remove(ticket)
                    raise Unavailable("The database is too slow at the moment; send the event again.")

    def _enough(self) -> int:
        """How many a leader waits for: most of the last crowd, as one of them may be gone for good."""
        return min(self._crowd * 9 // 10, MAX_GROUP) if self._crowd >= CROWD else 0

    def _gather(self, leader: _Ticket) -> None:
        with self._lock:
            if len(self._waiting) >= self._enough():
                return
            self._gathering = leader
        leader.gate.acquire(timeout=GATHER_S)
        with self._lock:
            self._gathering = None

    def _lead(self, leader: _Ticket) -> None:
        """Commit everyone who waits, then hand the lead to the first of those who came meanwhile."""
        self._gather(leader)
        with self._lock:
            group, self._waiting = self._waiting[:MAX_GROUP], self._waiting[MAX_GROUP:]
        try:
            self._commit(group)
        finally:
            with self._lock:
                self._crowd = len(group) + len(self._waiting)
                successor = self._waiting[0] if self._waiting else None
                self._busy = successor is not None
                if successor is not None:
                    successor.leads = True
            for ticket in group:
                if not ticket.leads:
                    ticket.gate.release()
            if successor is not None:
                successor.gate.release()

    def _commit(self, group: Sequence[_Ticket]) -> None:
        try:
            self._write(group)
        except Exception as error:
            if len(group) == 1 or isinstance(error, Unavailable):
                for ticket in group:
                    ticket.error = error
                if not isinstance(error, Unavailable):
                    log.exception("an event could not be stored", extra={"action": "accept_failed"})
                return
            for ticket in group:  # one of them spoils the group: each on its own
                self._commit([ticket])
            return
        self._tell(group)

    def _write(self, group: Sequence[_Ticket]) -> None:
        rt = self._rt
        with rt.db.write() as conn:
            self._refresh_plans(conn, group)
            inserted = events.insert_events(conn, [ticket.plan.event for ticket in group])
            fresh = [ticket for ticket in group if ticket.uid in inserted]
            again = [ticket for ticket in group if ticket.uid not in inserted]
            insert_accepted(
                conn,
                [row for ticket in fresh for row in ticket.plan.deliveries],
                [ticket.plan.audit for ticket in fresh],
                _counts(fresh, again, minute_of(rt.clock())),
            )
            self._answer_duplicates(conn, again)
        for ticket in fresh:
            ticket.answer = _accepted(ticket)

    def _refresh_plans(self, conn: Connection, group: Sequence[_Ticket]) -> None:
        """Whoever was routed by an older revision is routed again; the revision is locked until the commit."""
        revision = subscriptions.routes_revision(conn)
        if revision != self._routes[0]:
            self._routes = (revision, RouteTable(subscriptions.load_rules(conn)))
        for ticket in group:
            if ticket.plan.revision != revision:
                ticket.plan = _plan(self._rt, *self._routes, ticket.draft, ticket.actor)

    def _answer_duplicates(self, conn: Connection, again: Sequence[_Ticket]) -> None:
        if not again:
            return
        senders = [(ticket.draft.source, ticket.draft.id or ticket.uid) for ticket in again]
        originals = events.find_by_sender(conn, list(dict.fromkeys(senders)))
        times = Counter(originals[sender].uid for sender in senders)
        events.count_duplicates(conn, times, self._rt.clock())
        stored = deliveries_of(conn, list(times))
        for ticket, sender in zip(again, senders, strict=True):
            row = originals[sender]
            listed = tuple(AcceptedDelivery(*one) for one in stored.get(row.uid, ()))
            ticket.answer = Accepted(row.uid, row.id, True, row.status, listed)

    def _tell(self, group: Sequence[_Ticket]) -> None:
        rt = self._rt
        fresh = [one.answer for one in group if one.answer is not None and not one.answer.duplicate]
        lanes = {rule.lane for ticket in group for rule in ticket.plan.matched if not rule.held}
        if "default" in lanes:
            rt.queue.ring_soon("default")
        if "isolated" in lanes:
            self._ring_isolated(group)
        rt.live.tell(*(EventChanged(one.uid, one.status) for one in fresh))

    def _ring_isolated(self, group: Sequence[_Ticket]) -> None:
        lane_of = {rule.id: rule for ticket in group for rule in ticket.plan.matched}
        self._rt.queue.ring_isolated(
            (one.id, lane_of[one.subscription_id].timeout_s)
            for ticket in group
            if ticket.answer is not None and not ticket.answer.duplicate
            for one in ticket.answer.deliveries
            if lane_of[one.subscription_id].lane == "isolated" and one.state == "pending"
        )


def consider(rt: Runtime, draft: EventDraft) -> list[Considered]:
    """How today's rules see this event: every candidate with its trace. Nothing is written."""
    with rt.db.read() as conn:
        routes = RouteTable(subscriptions.load_rules(conn))
    return list(routes.route(draft, rt.clock()))


def record_refusal(rt: Runtime, actor: Actor, slug: str, faults: Sequence[Fault], head: str) -> None:
    """Keep a trace of an event that was refused: nothing vanishes, and nothing of it is stored as an event."""
    now = rt.clock()
    details = {"problem": slug, "errors": [f"{f.pointer}: {f.message}"[:200] for f in faults[:5]], "head": head[:200]}
    with rt.db.write() as conn:
        audit.add(
            conn, id=rt.new_id("aud"), at=now, actor=actor, action="event.refused",
            target_kind="event", target_id="", details=details,
        )  # fmt: skip
        raise_counts(conn, Counter({(minute_of(now), "", "rejected", 0): 1}))


def _plan(rt: Runtime, revision: int, routes: RouteTable, draft: EventDraft, actor: Actor) -> _Plan:
    now, uid = rt.clock(), rt.new_id("evt")
    matched = tuple(one.rule for one in routes.route(draft, now) if one.matched)
    rows = [_delivery_row(uid, rule, rt.new_id("dlv"), now) for rule in matched]
    entry = audit.entry(
        id=rt.new_id("aud"),
        at=now,
        actor=actor,
        action="event.published",
        target_kind="event",
        target_id=uid,
        target_name=draft.type,
        details={"source": draft.source, "id": draft.id or uid, "deliveries": len(rows)},
    )
    return _Plan(revision, matched, _event_row(uid, draft, actor, len(rows), now), rows, entry)


def _event_row(uid: str, draft: EventDraft, actor: Actor, total: int, now: datetime) -> dict[str, Any]:
    return {
        "uid": uid,
        "id": draft.id or uid,
        "source": draft.source,
        "type": draft.type,
        "version": draft.version,
        "subject": draft.subject,
        "timestamp": draft.timestamp,
        "received_at": now,
        "payload": draft.payload_text,
        "labels": dict(draft.labels),
        "received_by": f"{actor.kind}:{actor.id}"[:64],
        "correlation_id": draft.correlation_id,
        "causation_id": draft.causation_id,
        "trace_id": draft.trace_id,
        "total": total,
        "open": total,
    }


def _delivery_row(event_uid: str, rule: Rule, id: str, now: datetime) -> dict[str, Any]:
    return {
        "id": id,
        "event_uid": event_uid,
        "subscription_id": rule.id,
        "handler": rule.handler,
        "lane": rule.lane,
        "state": "held" if rule.held else "pending",
        "due_at": now,
        "created_at": now,
    }


def _accepted(ticket: _Ticket) -> Accepted:
    plan = ticket.plan
    listed = tuple(
        AcceptedDelivery(row["id"], rule.id, rule.name, row["state"])
        for row, rule in zip(plan.deliveries, plan.matched, strict=True)
    )
    status = "processing" if listed else "unrouted"
    return Accepted(ticket.uid, plan.event["id"], False, status, listed)


def _counts(fresh: Sequence[_Ticket], again: Sequence[_Ticket], minute: int) -> Counter[tuple[int, str, str, int]]:
    counts: Counter[tuple[int, str, str, int]] = Counter()
    counts[minute, "", "accepted", 0] = len(fresh)
    counts[minute, "", "unrouted", 0] = sum(not ticket.plan.matched for ticket in fresh)
    counts[minute, "", "duplicate", 0] = len(again)
    return +counts
