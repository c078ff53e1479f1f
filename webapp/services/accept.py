"""Accepting events: judge and route them, write them with deliveries and audit entries in one transaction, ring, tell.

The transaction is shared by everybody who waits for one: see ``groupcommit``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, cast

from sqlalchemy import Connection, Row

from webapp.domain.access import Actor
from webapp.domain.errors import Fault, Forbidden, HubError, Unavailable
from webapp.domain.events import EventDraft
from webapp.domain.intake import PLAIN
from webapp.domain.routing import RouteTable
from webapp.live import EventChanged
from webapp.runtime import Runtime
from webapp.services import intake
from webapp.services.groupcommit import GroupCommit
from webapp.services.notify import warn_of_loop
from webapp.services.plan import PLAIN_EVENT, Rules, alike, decided, deepened, plan_event
from webapp.services.schemas import SchemaBook
from webapp.services.tickets import Accepted as Accepted
from webapp.services.tickets import AcceptedDelivery, Item, RejectedEvent, Ticket
from webapp.services.tickets import BatchRefused as BatchRefused
from webapp.store import audit, events, subscriptions
from webapp.store.accepted import deliveries_of, insert_accepted
from webapp.store.counters import minute_of, raise_counts
from webapp.store.events import Sender
from webapp.store.intake import depths_of


class Acceptor(GroupCommit):
    """The door for events, one per process. It answers when the events are on disk."""

    def __init__(self, rt: Runtime) -> None:
        super().__init__()
        self._rt = rt
        self._rules = Rules()  # replaced as a whole: many threads read it

    def accept(self, draft: EventDraft, actor: Actor) -> Accepted:
        """Store and route one event. Raises ``RejectedEvent``, or ``Unavailable`` when it could not be stored."""
        actor.must_send(draft.type, draft.source)
        # Routed and laid out before the group forms, each request in its own thread; checked in the transaction.
        item = self._item(draft, actor)
        self._submit(Ticket((item,)))
        return item.result()

    def accept_many(
        self, drafts: Sequence[EventDraft], actor: Actor, *, atomic: bool = False
    ) -> list[Accepted | HubError]:
        """Store and route these events in one transaction; answers what became of each, in their order.

        One that is refused does not keep the others out, unless ``atomic``: then none is stored. Raises ``Unavailable``
        when nothing could be stored.
        """
        barred = _barred(drafts, actor)
        if atomic and barred:
            return [barred.get(index, BatchRefused()) for index in range(len(drafts))]
        items = [self._item(draft, actor) for index, draft in enumerate(drafts) if index not in barred]
        if items:
            self._submit(Ticket(items, atomic))
        if items and all(isinstance(item.error, Unavailable) for item in items):
            raise cast(Unavailable, items[0].error)
        answers = iter(items)
        return [barred[index] if index in barred else _outcome(next(answers)) for index in range(len(drafts))]

    def _item(self, draft: EventDraft, actor: Actor) -> Item:
        plan = plan_event(self._rt, self._rules, draft, actor)
        return Item(draft, actor, plan, plan)

    # In the transaction

    def _write(self, group: Sequence[Ticket]) -> Collection[str]:
        """Answers the events whose waiting delivery gave way to a later one."""
        with self._rt.db.write() as conn:
            self._refresh_plans(conn, group)
            repeated = _originals_of_rejected(conn, group)
            items = _standing(group, repeated)
            fresh, again = self._insert(conn, items, repeated)
            given_way = self._write_fresh(conn, fresh, len(again)) if items else ()
            self._answer_duplicates(conn, again)
        for item in fresh:
            item.settle()
        return given_way

    def _refresh_plans(self, conn: Connection, group: Sequence[Ticket]) -> None:
        """Whoever was planned by older rules is planned again; the revision is locked until the commit."""
        revision = subscriptions.routes_revision(conn)
        if revision != self._rules.revision:
            self._rules = Rules(
                revision, RouteTable(subscriptions.load_rules(conn)), SchemaBook.load(conn, self._rules.book)
            )
        items = [item for ticket in group for item in ticket.items]
        for item in items:
            if item.plan.revision != revision:
                item.plan = plan_event(self._rt, self._rules, item.draft, item.actor)
            item.final = item.plan
        self._note_depths(conn, [item for item in items if item.draft.causation_id])

    def _note_depths(self, conn: Connection, caused: Sequence[Item]) -> None:
        """Whoever was caused by a stored event is one deeper than that; too deep is taken for a loop and held."""
        if not caused:
            return
        depths = depths_of(conn, [str(item.draft.causation_id) for item in caused])
        for item in caused:
            above = depths.get(str(item.draft.causation_id))
            if above is not None:
                most = self._rt.settings.max_causation_depth
                item.final = deepened(item.plan, above + 1, most, self._rt.new_id("aud"))

    def _insert(
        self, conn: Connection, items: Sequence[Item], repeated: Collection[Sender]
    ) -> tuple[list[Item], list[Item]]:
        """Those that are new, which are in now, and those that were sent before."""
        new = (
            [item for item in items if not (item.final.is_rejected and item.sender in repeated)] if repeated else items
        )
        inserted = events.insert_events(conn, alike([item.final.event for item in new], PLAIN_EVENT)) if new else set()
        fresh = [item for item in items if item.uid in inserted]
        return fresh, [item for item in items if item.uid not in inserted] if len(fresh) < len(items) else []

    def _write_fresh(self, conn: Connection, fresh: Sequence[Item], duplicates: int) -> Collection[str]:
        asks = [ask for item in fresh for ask in item.final.asks]
        decisions = intake.decide(conn, asks) if asks else intake.Decisions()
        for item in fresh if decisions.changes else ():
            item.final = decided(item.final, decisions.changes)
        rows = alike([row for item in fresh for row in item.final.deliveries], PLAIN)
        entries = [entry for item in fresh for entry in item.final.entries]
        faults = [fault for item in fresh for fault in item.final.faults]
        insert_accepted(conn, rows, entries, _counts(fresh, duplicates, minute_of(self._rt.clock())), faults)
        if not all(item.plan.is_plain for item in fresh):
            intake.settle_counts(conn, decisions, rows)
        return {uid for uid, _ in decisions.given_way}

    def _answer_duplicates(self, conn: Connection, again: Sequence[Item]) -> None:
        if not again:
            return
        senders = [item.sender for item in again]
        originals = events.find_by_sender(conn, list(dict.fromkeys(senders)))
        times = Counter(originals[sender].uid for sender in senders)
        events.count_duplicates(conn, times, self._rt.clock())
        stored = deliveries_of(conn, list(times))
        for item, sender in zip(again, senders, strict=True):
            row = originals[sender]
            listed = tuple(AcceptedDelivery(*one) for one in stored.get(row.uid, ()))
            item.answer = Accepted(row.uid, row.id, True, row.status, listed)

    # After the commit

    def _tell(self, group: Sequence[Ticket], written: Any) -> None:
        rt = self._rt
        fresh = [item for ticket in group for item in ticket.items if item.answer and not item.answer.duplicate]
        now = [row for item in fresh for row in item.final.deliveries if _is_due(row)]
        for lane in {row["lane"] for row in now}:
            rt.queue.ring_soon(lane)
        rt.live.tell(
            *[EventChanged(item.uid, item.answer.status) for item in fresh if item.answer],
            *[EventChanged(uid, "") for uid in written],
        )
        for item in fresh:
            if item.final.is_looping:
                warn_of_loop(rt, item.final.event)


def _barred(drafts: Sequence[EventDraft], actor: Actor) -> dict[int, HubError]:
    """What a key with limits may not send, by its place."""
    if actor.event_types is None and actor.sources is None:
        return {}
    barred: dict[int, HubError] = {}
    for index, draft in enumerate(drafts):
        try:
            actor.must_send(draft.type, draft.source)
        except Forbidden as refused:
            barred[index] = refused
    return barred


def _outcome(item: Item) -> Accepted | HubError:
    return cast(HubError, item.error) if item.error else item.result()


def record_refusal(rt: Runtime, actor: Actor, slug: str, faults: Sequence[Fault], head: str, count: int = 1) -> None:
    """Keep a trace of an event that was refused: nothing vanishes, and nothing of it is stored as an event."""
    now = rt.clock()
    details = {"problem": slug, "errors": [f"{f.pointer}: {f.message}"[:200] for f in faults[:5]], "head": head[:200]}
    with rt.db.write() as conn:
        audit.add(
            conn, id=rt.new_id("aud"), at=now, actor=actor, action="event.refused",
            target_kind="event", target_id="", details=details,
        )  # fmt: skip
        raise_counts(conn, Counter({(minute_of(now), "", "rejected", 0): count}))


def _originals_of_rejected(conn: Connection, group: Sequence[Ticket]) -> dict[Sender, Row[Any]]:
    """A known event that is sent again is a duplicate, also if by today's schema it would be rejected."""
    rejected = [item for ticket in group for item in ticket.items if item.final.is_rejected and item.draft.id]
    return events.find_by_sender(conn, list(dict.fromkeys(item.sender for item in rejected))) if rejected else {}


def _standing(group: Sequence[Ticket], repeated: Collection[Sender]) -> list[Item]:
    """The events that are written: not those of an atomic ticket of which one is rejected."""
    items: list[Item] = []
    for ticket in group:
        spoiled = ticket.atomic and [
            item for item in ticket.items if item.final.is_rejected and item.sender not in repeated
        ]
        if spoiled:
            ticket.fail(BatchRefused())
            for item in spoiled:
                item.error = RejectedEvent(item.final, kept=False)
        else:
            items += ticket.items
    return items


def _is_due(row: dict[str, Any]) -> bool:
    return bool(row["state"] == "pending" and row["due_at"] <= row["created_at"])


def _counts(fresh: Sequence[Item], duplicates: int, minute: int) -> Counter[tuple[int, str, str, int]]:
    counts: Counter[tuple[int, str, str, int]] = Counter()
    rejected = sum([item.final.is_rejected for item in fresh])
    counts[minute, "", "accepted", 0] = len(fresh) - rejected
    counts[minute, "", "unrouted", 0] = sum([not item.plan.matched for item in fresh]) - rejected
    counts[minute, "", "duplicate", 0] = duplicates
    counts[minute, "", "rejected", 0] = rejected
    return +counts
