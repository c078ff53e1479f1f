"""Accepting an event: route it, write it with its deliveries and its audit entry in one transaction, ring, tell.

Requests that arrive while a commit is under way share the next one (group commit): a commit costs
an fsync, and that cost is paid once per group. A lone request leads its own group and does not wait.
In a crowd the leader waits a moment for those who were there last time: they are on their way.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from webapp.domain.access import Actor
from webapp.domain.errors import Fault, Unavailable
from webapp.domain.events import EventDraft
from webapp.domain.intake import PLAIN
from webapp.domain.routing import RouteTable
from webapp.live import EventChanged
from webapp.runtime import Runtime
from webapp.services import intake
from webapp.services.notify import warn_of_loop
from webapp.services.plan import PLAIN_EVENT, Plan, alike, decided, deepened, plan_event
from webapp.store import audit, events, subscriptions
from webapp.store.accepted import deliveries_of, insert_accepted
from webapp.store.counters import minute_of, raise_counts
from webapp.store.intake import depths_of

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
    reason: str | None = None  # why it is held or was skipped


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to a publisher. For a duplicate it describes the original, as it stands now."""

    uid: str
    id: str
    duplicate: bool
    status: str
    deliveries: tuple[AcceptedDelivery, ...]


@dataclass(slots=True, eq=False)
class _Ticket:
    """One request on its way through a group commit."""

    draft: EventDraft
    actor: Actor
    plan: Plan
    final: Plan  # as it is written: the plan with what the transaction found out
    gate: threading.Lock = field(default_factory=threading.Lock)  # held while the request has to wait
    answer: Accepted | None = None
    error: Exception | None = None
    leads: bool = False

    @property
    def uid(self) -> str:
        return self.plan.uid


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
        plan = plan_event(self._rt, *self._routes, draft, actor)
        ticket = _Ticket(draft, actor, plan, plan)
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
            given_way = self._write(group)
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
        self._tell(group, given_way)

    def _write(self, group: Sequence[_Ticket]) -> Collection[str]:
        """Write everybody, or nobody; answers the events whose waiting delivery gave way to a later one."""
        with self._rt.db.write() as conn:
            self._refresh_plans(conn, group)
            self._note_depths(conn, group)
            inserted = events.insert_events(conn, alike([ticket.final.event for ticket in group], PLAIN_EVENT))
            fresh = [ticket for ticket in group if ticket.uid in inserted]
            again = [ticket for ticket in group if ticket.uid not in inserted]
            given_way = self._write_fresh(conn, fresh, len(again))
            self._answer_duplicates(conn, again)
        for ticket in fresh:
            ticket.answer = _accepted(ticket)
        return given_way

    def _write_fresh(self, conn: Connection, fresh: Sequence[_Ticket], duplicates: int) -> Collection[str]:
        asks = [ask for ticket in fresh for ask in ticket.final.asks]
        decisions = intake.decide(conn, asks) if asks else intake.Decisions()
        for ticket in fresh if decisions.changes else ():
            ticket.final = decided(ticket.final, decisions.changes)
        rows = alike([row for ticket in fresh for row in ticket.final.deliveries], PLAIN)
        entries = [entry for ticket in fresh for entry in ticket.final.entries]
        insert_accepted(conn, rows, entries, _counts(fresh, duplicates, minute_of(self._rt.clock())))
        if not all(ticket.plan.is_plain for ticket in fresh):
            intake.settle_counts(conn, decisions, rows)
        return {uid for uid, _ in decisions.given_way}

    def _refresh_plans(self, conn: Connection, group: Sequence[_Ticket]) -> None:
        """Whoever was routed by an older revision is routed again; the revision is locked until the commit."""
        revision = subscriptions.routes_revision(conn)
        if revision != self._routes[0]:
            self._routes = (revision, RouteTable(subscriptions.load_rules(conn)))
        for ticket in group:
            if ticket.plan.revision != revision:
                ticket.plan = plan_event(self._rt, *self._routes, ticket.draft, ticket.actor)
            ticket.final = ticket.plan

    def _note_depths(self, conn: Connection, group: Sequence[_Ticket]) -> None:
        """Whoever was caused by a stored event is one deeper than that; too deep is taken for a loop and held."""
        caused = [ticket for ticket in group if ticket.draft.causation_id]
        if not caused:
            return
        depths = depths_of(conn, [str(ticket.draft.causation_id) for ticket in caused])
        for ticket in caused:
            above = depths.get(str(ticket.draft.causation_id))
            if above is not None:
                most = self._rt.settings.max_causation_depth
                ticket.final = deepened(ticket.plan, above + 1, most, self._rt.new_id("aud"))

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

    def _tell(self, group: Sequence[_Ticket], given_way: Collection[str]) -> None:
        rt = self._rt
        fresh = [ticket for ticket in group if ticket.answer is not None and not ticket.answer.duplicate]
        now = [row for ticket in fresh for row in ticket.final.deliveries if _is_due(row)]
        lanes = {row["lane"] for row in now}
        if "default" in lanes:
            rt.queue.ring_soon("default")
        if "isolated" in lanes:
            limits = {rule.id: rule.timeout_s for ticket in fresh for rule in ticket.plan.matched}
            rt.queue.ring_isolated((row["id"], limits[row["subscription_id"]]) for row in now if _is_alone(row))
        rt.live.tell(
            *(EventChanged(one.uid, one.answer.status) for one in fresh if one.answer),
            *(EventChanged(uid, "") for uid in given_way),
        )
        for ticket in fresh:
            if ticket.final.is_looping:
                warn_of_loop(rt, ticket.final.event)


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


def _is_due(row: dict[str, Any]) -> bool:
    return bool(row["state"] == "pending" and row["due_at"] <= row["created_at"])


def _is_alone(row: dict[str, Any]) -> bool:
    """Runs in a process of its own, and nothing is to be asked before."""
    return row["lane"] == "isolated" and not row.get("gated")


def _accepted(ticket: _Ticket) -> Accepted:
    plan = ticket.final
    listed = tuple(
        AcceptedDelivery(row["id"], rule.id, rule.name, row["state"], row.get("reason"))
        for row, rule in zip(plan.deliveries, plan.matched, strict=True)
    )
    return Accepted(ticket.uid, plan.event["id"], False, _status(plan), listed)


def _status(plan: Plan) -> str:
    """As the database works it out. An event whose deliveries were all skipped has nothing left to do: succeeded."""
    if plan.is_plain or any(row["state"] != "skipped" for row in plan.deliveries):
        return "processing" if plan.deliveries else "unrouted"
    return "succeeded"


def _counts(fresh: Sequence[_Ticket], duplicates: int, minute: int) -> Counter[tuple[int, str, str, int]]:
    counts: Counter[tuple[int, str, str, int]] = Counter()
    counts[minute, "", "accepted", 0] = len(fresh)
    counts[minute, "", "unrouted", 0] = sum(not ticket.plan.matched for ticket in fresh)
    counts[minute, "", "duplicate", 0] = duplicates
    return +counts
