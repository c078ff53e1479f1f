"""Accepting events: one transaction, one answer per (source, id), group commits that lose nobody."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from tests.support.factories import make_subscription
from webapp.domain.access import Actor
from webapp.domain.errors import Unavailable
from webapp.domain.events import EventDraft, parse_event
from webapp.live import EventChanged
from webapp.runtime import Runtime
from webapp.services import groupcommit, subscriptions
from webapp.services.accept import Acceptor, record_refusal
from webapp.store.tables import attempts, audit, counters, deliveries, events


def draft_of(rt: Runtime, **fields: object) -> EventDraft:
    document = {"type": "order.created", "payload": {"amount": 12}} | fields
    return parse_event(document, default_source="tests", now=rt.clock())


def count(rt: Runtime, table: object) -> int:
    with rt.db.read() as conn:
        return conn.execute(select(func.count()).select_from(table)).scalar_one()  # type: ignore[arg-type]


def test_accept_stores_event_deliveries_audit_and_counters_together(rt: Runtime, operator: Actor) -> None:
    first = make_subscription(rt, name="First", pattern="order.*")
    make_subscription(rt, name="Other", pattern="user.*")
    answer = Acceptor(rt).accept(draft_of(rt), operator)
    assert (answer.duplicate, answer.status, answer.id) == (False, "processing", answer.uid)
    assert [(one.subscription_id, one.subscription_name, one.state) for one in answer.deliveries] == [
        (first, "First", "pending")
    ]
    with rt.db.read() as conn:
        event = conn.execute(select(events)).one()
        assert (event.status, event.total, event.open) == ("processing", 1, 1)
        assert event.received_by == "user:usr_operator"
        entry = conn.execute(select(audit)).one()
        assert (entry.action, entry.target_id, entry.request_id) == ("event.published", answer.uid, "req-1")
        assert conn.execute(select(counters.c.n).where(counters.c.measure == "accepted")).scalar() == 1
    assert rt.queue.rung == ["default"]  # type: ignore[attr-defined]
    assert rt.live.facts == [EventChanged(answer.uid, "processing")]  # type: ignore[attr-defined]


def test_accept_keeps_an_event_that_nobody_wants_as_unrouted(rt: Runtime, operator: Actor) -> None:
    answer = Acceptor(rt).accept(draft_of(rt), operator)
    assert (answer.status, answer.deliveries) == ("unrouted", ())
    assert rt.queue.rung == []  # type: ignore[attr-defined]


def test_accept_answers_with_the_original_when_the_sender_repeats_itself(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt)
    acceptor = Acceptor(rt)
    first = acceptor.accept(draft_of(rt, id="o-1"), operator)
    again = acceptor.accept(draft_of(rt, id="o-1", payload={"amount": 99}), operator)
    assert (again.duplicate, again.uid, again.id) == (True, first.uid, "o-1")
    assert again.deliveries == first.deliveries
    other = acceptor.accept(draft_of(rt, id="o-1", source="elsewhere"), operator)
    assert not other.duplicate
    with rt.db.read() as conn:
        row = conn.execute(select(events).where(events.c.uid == first.uid)).one()
        assert (row.duplicates, row.duplicate_at, row.payload) == (1, rt.clock(), '{"amount":12}')
    assert count(rt, deliveries) == 2


def test_accept_stores_one_event_when_twenty_threads_send_the_same(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt)
    acceptors = [Acceptor(rt), Acceptor(rt)]  # as two web processes
    start = threading.Barrier(20)

    def send(n: int) -> tuple[str, bool]:
        start.wait()
        answer = acceptors[n % 2].accept(draft_of(rt, id="same"), operator)
        return answer.uid, answer.duplicate

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(send, range(20)))
    assert len({uid for uid, _ in answers}) == 1
    assert sum(not duplicate for _, duplicate in answers) == 1
    assert (count(rt, events), count(rt, deliveries)) == (1, 1)


def test_accept_answers_everybody_when_many_share_commits(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt)
    acceptor = Acceptor(rt)
    with ThreadPoolExecutor(16) as pool:
        uids = list(pool.map(lambda n: acceptor.accept(draft_of(rt, id=f"e-{n}"), operator).uid, range(200)))
    assert len(set(uids)) == 200
    assert count(rt, events) == count(rt, deliveries) == 200


def test_leader_waits_for_the_crowd_and_a_lone_request_for_nobody(
    rt: Runtime, operator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    acceptor, sizes = Acceptor(rt), []
    write = acceptor._write
    monkeypatch.setattr(acceptor, "_write", lambda group: (sizes.append(len(group)), write(group)))
    monkeypatch.setattr(groupcommit, "GATHER_S", 60.0)  # the crowd must end the wait, not the clock
    acceptor.accept(draft_of(rt), operator)
    assert sizes == [1]
    acceptor._crowd = 20  # as after a commit with so many under way
    with ThreadPoolExecutor(18) as pool:
        list(pool.map(lambda n: acceptor.accept(draft_of(rt, id=f"e-{n}"), operator), range(18)))
    assert sizes == [1, 18]
    monkeypatch.setattr(groupcommit, "GATHER_S", 0.01)
    acceptor._crowd = 20
    acceptor.accept(draft_of(rt), operator)  # the others are gone: the clock ends the wait
    assert sizes == [1, 18, 1]
    assert acceptor._crowd == 1


def test_accept_spares_the_others_when_one_of_a_group_cannot_be_stored(rt: Runtime, operator: Actor) -> None:
    acceptor = Acceptor(rt)
    good = draft_of(rt, id="good")
    bad = EventDraft(None, "order.created", "tests", {}, "{}", rt.clock(), version="no number")  # type: ignore[arg-type]
    bad_too = EventDraft(None, None, "tests", {}, "{}", rt.clock())  # type: ignore[arg-type]
    results: dict[str, object] = {}

    def send(name: str, draft: EventDraft) -> None:
        try:
            results[name] = acceptor.accept(draft, operator)
        except Exception as error:
            results[name] = error

    threads = [threading.Thread(target=send, args=one) for one in (("bad", bad_too), ("good", good), ("also bad", bad))]
    with rt.db.write():  # all three have to wait, so two of them share a commit (on SQLite)
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join()
    assert isinstance(results["bad"], Exception)
    assert not isinstance(results["good"], Exception)
    with rt.db.read() as conn:
        assert conn.execute(select(events.c.id).where(events.c.id == "good")).scalar() == "good"


def test_accept_holds_what_a_paused_subscription_would_get(rt: Runtime, operator: Actor) -> None:
    subscription = make_subscription(rt)
    subscriptions.pause(rt, operator, subscription, "maintenance")
    acceptor = Acceptor(rt)
    assert [one.state for one in acceptor.accept(draft_of(rt), operator).deliveries] == ["held"]
    assert subscriptions.resume(rt, operator, subscription) == 1
    assert [one.state for one in acceptor.accept(draft_of(rt), operator).deliveries] == ["pending"]


def test_accept_sees_a_change_of_routing_at_once(rt: Runtime, operator: Actor) -> None:
    subscription = make_subscription(rt)
    acceptor = Acceptor(rt)
    assert len(acceptor.accept(draft_of(rt), operator).deliveries) == 1
    subscriptions.delete(rt, operator, subscription)
    assert acceptor.accept(draft_of(rt), operator).deliveries == ()


def test_accept_stores_nothing_when_the_database_is_not_there(sqlite_rt: Runtime, operator: Actor) -> None:
    with sqlite_rt.db.engine.connect() as conn:
        conn.exec_driver_sql("ALTER TABLE audit RENAME TO away")
        conn.commit()
    with pytest.raises(Unavailable):
        Acceptor(sqlite_rt).accept(draft_of(sqlite_rt), operator)
    assert count(sqlite_rt, events) == count(sqlite_rt, deliveries) == count(sqlite_rt, attempts) == 0


def test_record_refusal_leaves_a_trace_but_no_event(rt: Runtime, operator: Actor) -> None:
    record_refusal(rt, operator, "malformed-json", [], '{"type":')
    assert count(rt, events) == 0
    with rt.db.read() as conn:
        assert conn.execute(select(audit.c.action)).scalar() == "event.refused"
