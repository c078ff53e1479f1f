"""Many events of one call: one transaction, an answer for each, and what a poisoned one does to the others."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import insert

from tests.support.factories import make_subscription, rows_of
from webapp.broker import Broker
from webapp.domain.access import Actor
from webapp.domain.errors import HubError, Refused, Unavailable
from webapp.domain.events import EventDraft
from webapp.live import EventChanged
from webapp.runtime import Runtime
from webapp.services.accept import Accepted, Acceptor, BatchRefused
from webapp.services.tickets import RejectedEvent, Unstorable
from webapp.store import tables


def draft(rt: Runtime, id: str | None = None, **fields: Any) -> EventDraft:
    return EventDraft(id, "order.created", "tests", {"amount": 12}, '{"amount":12}', rt.clock(), **fields)


def poison(rt: Runtime) -> EventDraft:
    """What no door lets in, and no database takes."""
    return EventDraft(None, "order.created", "tests", {}, None, rt.clock())  # type: ignore[arg-type]


def declare(rt: Runtime, validation: str) -> None:
    now = rt.clock()
    times = {"created_at": now, "updated_at": now}
    row = {"name": "order.created", "state": "declared", "owner": "", "description": "", "validation": validation}
    version = {"type": "order.created", "version": 1, "schema": '{"maxProperties":0}', "examples": [], "note": ""}
    with rt.db.write() as conn:
        conn.execute(insert(tables.event_types), row | times)
        conn.execute(insert(tables.event_type_versions), version | {"created_at": now, "created_by": "tests"})


def ids(rt: Runtime) -> list[str]:
    return [row.id for row in rows_of(rt, tables.events)]


def test_all_of_a_call_share_one_transaction_and_one_bell(
    rt: Runtime, operator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_subscription(rt)
    acceptor, writes = Acceptor(rt), []
    write = acceptor._write
    monkeypatch.setattr(acceptor, "_write", lambda group: (writes.append(len(group)), write(group))[1])
    answers = acceptor.accept_many([draft(rt, f"e-{n}") for n in range(700)], operator)
    assert writes == [1]
    assert [one.id for one in answers if isinstance(one, Accepted)] == [f"e-{n}" for n in range(700)] == ids(rt)
    assert rt.queue.rung == ["default"]  # type: ignore[attr-defined]
    assert EventChanged(answers[0].uid, "processing") in rt.live.facts  # type: ignore[attr-defined, union-attr]
    assert acceptor.accept_many([], operator) == []


def test_a_poisoned_event_is_found_and_the_others_are_stored(rt: Runtime, operator: Actor) -> None:
    acceptor = Acceptor(rt)
    answers = acceptor.accept_many([draft(rt, "a"), draft(rt, "b"), poison(rt), draft(rt, "c")], operator)
    assert [type(one) for one in answers] == [Accepted, Accepted, Unstorable, Accepted]
    assert ids(rt) == ["a", "b", "c"]


def test_a_poisoned_event_keeps_the_whole_of_an_atomic_call_out(rt: Runtime, operator: Actor) -> None:
    acceptor = Acceptor(rt)
    answers = acceptor.accept_many([draft(rt, "a"), poison(rt)], operator, atomic=True)
    assert all(isinstance(one, HubError) for one in answers)
    assert ids(rt) == []


def test_an_atomic_call_with_a_rejected_event_spares_those_who_share_the_commit(rt: Runtime, operator: Actor) -> None:
    declare(rt, "reject")
    acceptor = Acceptor(rt)
    empty = EventDraft("fits", "order.created", "tests", {}, "{}", rt.clock())
    acceptor._crowd = 10  # the leader waits for the others
    start = threading.Barrier(9)

    def send(n: int) -> Any:
        start.wait()
        if n:
            return acceptor.accept(EventDraft(f"e-{n}", "order.created", "tests", {}, "{}", rt.clock()), operator)
        return acceptor.accept_many([empty, draft(rt, "bad")], operator, atomic=True)

    with ThreadPoolExecutor(9) as pool:
        (fits, bad), *others = pool.map(send, range(9))
    assert (type(fits), type(bad)) == (BatchRefused, RejectedEvent)
    assert bad.event_id is None
    assert len(others) == 8
    assert sorted(ids(rt)) == [f"e-{n}" for n in range(1, 9)]
    assert rows_of(rt, tables.event_faults) == []


def test_nothing_stored_is_said_once_for_all(sqlite_rt: Runtime, operator: Actor) -> None:
    with sqlite_rt.db.engine.connect() as conn:
        conn.exec_driver_sql("ALTER TABLE audit RENAME TO away")
        conn.commit()
    with pytest.raises(Unavailable):
        Acceptor(sqlite_rt).accept_many([draft(sqlite_rt), draft(sqlite_rt)], operator)
    assert ids(sqlite_rt) == []


@pytest.mark.parametrize("deliver_later", [False, True])
def test_rejected_warned_and_plain_events_go_in_together(rt: Runtime, operator: Actor, deliver_later: bool) -> None:
    """Their rows differ in columns."""
    declare(rt, "reject")
    later = {"deliver_at": rt.clock()} if deliver_later else {}
    caused = EventDraft("d", "order.created", "tests", {}, "{}", rt.clock(), causation_id="nothing")
    plain = EventDraft("a", "order.created", "tests", {}, "{}", rt.clock(), **later)  # type: ignore[arg-type]
    answers = Acceptor(rt).accept_many([plain, draft(rt, "b", **later), caused], operator)
    assert [type(one) for one in answers] == [Accepted, RejectedEvent, Accepted]
    assert [row.status for row in rows_of(rt, tables.events)] == ["unrouted", "rejected", "unrouted"]


def test_publishing_from_python_raises_and_warns_alike(rt: Runtime) -> None:
    declare(rt, "reject")
    with pytest.raises(Refused) as refused:
        asyncio.run(Broker(rt).publish({"type": "order.created", "payload": {"amount": 1}}))
    assert refused.value.slug == "schema-violation"
    assert [row.status for row in rows_of(rt, tables.events)] == ["rejected"]
