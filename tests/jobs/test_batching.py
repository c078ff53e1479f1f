"""Batches in a worker: one call with a list, an attempt for each, and what happens to one does not spoil the others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import update

from jobs.drain import claim, drain
from jobs.engine import Engine
from jobs.registry import load_registry
from tests.support import lists
from tests.support.batching import TWICE, states
from tests.support.factories import make_delivery, make_event, make_subscription, row_of, rows_of
from tests.support.lists import CALLS, PLUGIN
from tests.support.servers import wait_until
from webapp.domain.access import SYSTEM
from webapp.domain.gathering import name_of
from webapp.runtime import Runtime
from webapp.services import gatekeeper, operate
from webapp.store import tables as t

AT_ONCE = TWICE | {"base_s": 0, "cap_s": 0}


@pytest.fixture
def engine(rt: Runtime) -> Iterator[Engine]:
    CALLS.clear()
    engine = Engine(rt, load_registry([PLUGIN]), "worker-1", concurrency=4)
    engine.start()
    yield engine
    engine.stop(0)


def deliver(rt: Runtime, *payloads: dict[str, Any], handler: str = "t.lists") -> list[str]:
    """A full batch of these."""
    policies = {"batch": {"size": len(payloads), "wait": "1m"}}
    subscription = make_subscription(rt, handler=handler, retry=AT_ONCE, policies=policies)
    return [
        make_delivery(
            rt, make_event(rt, payload={"n": n} | payload), subscription, handler=handler, gated=True, limit_key=""
        )
        for n, payload in enumerate(payloads)
    ]


def work(engine: Engine) -> None:
    """Until nothing is left to do."""
    while gatekeeper.admit(engine.rt) + drain(engine, "default"):
        assert engine.flights.wait_until_empty(15)


def test_one_call_and_an_attempt_for_each(engine: Engine) -> None:
    rt = engine.rt
    ids = deliver(rt, {}, {}, {})
    work(engine)
    assert [(name_of(ids), [0, 1, 2])] == CALLS
    assert states(rt, ids) == ["succeeded"] * 3
    attempts = {row.delivery_id: row for row in rows_of(rt, t.attempts)}
    assert [attempts[id].outcome for id in ids] == ["succeeded"] * 3
    assert [attempts[id].result for id in ids] == ['{"taken":3}', None, None]  # kept once
    assert [(row.delivery_id, row.text) for row in rows_of(rt, t.log_lines)] == [(ids[0], "3 events")]
    assert {row.status for row in rows_of(rt, t.events)} == {"succeeded"}


def test_second_try_has_the_same_name_and_the_same_events(engine: Engine) -> None:
    ids = deliver(engine.rt, {"do": "fail"}, {})
    work(engine)
    assert [(name_of(ids), [0, 1])] * 2 == CALLS
    assert states(engine.rt, ids) == ["succeeded"] * 2
    errors = [
        (row.delivery_id, row.error_type, bool(row.stack)) for row in rows_of(engine.rt, t.attempts) if row.n == 1
    ]
    assert sorted(errors) == [(ids[0], "ConnectionError", True), (ids[1], "ConnectionError", False)]


def test_event_that_is_invalid_does_not_spoil_the_batch(engine: Engine) -> None:
    ids = deliver(engine.rt, {"broken": True}, {}, {})
    work(engine)
    assert [call for _, call in CALLS] == [[1, 2]]
    assert states(engine.rt, ids) == ["dead", "succeeded", "succeeded"]
    assert row_of(engine.rt, t.deliveries, ids[0]).reason == "permanent"


def test_batch_of_nothing_but_invalid_events_is_not_run(engine: Engine) -> None:
    ids = deliver(engine.rt, {"broken": True}, {"broken": True})
    work(engine)
    assert (CALLS, states(engine.rt, ids)) == ([], ["dead"] * 2)


def test_tries_are_used_up_together(engine: Engine) -> None:
    ids = deliver(engine.rt, {"do": "retry"}, {})
    work(engine)
    assert len(CALLS) == 2
    assert states(engine.rt, ids) == ["dead"] * 2


def test_one_of_other_tries_is_due_with_the_others(engine: Engine) -> None:
    rt = engine.rt
    ids = deliver(rt, {"do": "retry"}, {})
    with rt.db.write() as conn:
        conn.execute(update(t.subscriptions).values(retry=TWICE | {"max_attempts": 5, "base_s": 5, "cap_s": 500}))
        conn.execute(update(t.deliveries).where(t.deliveries.c.id == ids[1]).values(tries_used=2))
    drain(engine, "default")
    assert engine.flights.wait_until_empty(15)
    rows = [row_of(rt, t.deliveries, id) for id in ids]
    assert [row.tries_used for row in rows] == [1, 3]
    assert rows[0].due_at == rows[1].due_at


def test_state_is_remembered_once_and_a_collision_undoes_the_whole_batch(engine: Engine) -> None:
    rt = engine.rt
    ids = deliver(rt, {"do": "state"}, {})
    subscription = row_of(rt, t.deliveries, ids[0]).subscription_id

    def meddle() -> None:
        with rt.db.write() as conn:
            values = {"subscription_id": subscription, "key": "seen", "value": 9, "v": 5, "updated_at": rt.clock()}
            conn.execute(t.handler_state.insert(), values)

    lists.MEDDLE[:] = [meddle]
    drain(engine, "default")
    assert engine.flights.wait_until_empty(15)
    assert states(rt, ids) == ["waiting"] * 2
    assert {row.error_type for row in rows_of(rt, t.attempts)} == {"StateChanged"}
    rt.clock.advance(seconds=2)  # type: ignore[attr-defined]
    work(engine)
    assert states(rt, ids) == ["succeeded"] * 2
    with rt.db.read() as conn:
        assert [(row.key, row.value) for row in conn.execute(t.handler_state.select())] == [("seen", 2)]


def test_cancelling_one_of_a_running_batch_lets_it_run_on_and_all_of_it_stops_it(engine: Engine) -> None:
    rt = engine.rt
    ids = deliver(rt, {"do": "wait"}, {})
    drain(engine, "default")
    wait_until(lambda: CALLS, 10, "it runs")
    operate.cancel(rt, SYSTEM, ids[0])
    engine.keeper.beat()
    [flight] = engine.flights.flights.values()
    assert flight.asked == {ids[0]}
    assert not flight.ctx.cancelled
    operate.cancel(rt, SYSTEM, ids[1])
    engine.keeper.beat()
    assert engine.flights.wait_until_empty(15)
    assert states(rt, ids) == ["cancelled"] * 2


def test_one_that_is_cancelled_before_its_turn_is_left_out(rt: Runtime) -> None:
    CALLS.clear()
    engine = Engine(rt, load_registry([PLUGIN]), "worker-1", concurrency=1)
    first, ids = deliver(rt, {"do": "wait"}, {}), deliver(rt, {}, {}, {})
    engine.start()
    gatekeeper.admit(rt)
    engine.take(claim(engine, "default", 10))
    wait_until(lambda: CALLS, 10, "the first runs")
    with rt.db.write() as conn:
        asked = update(t.deliveries).where(t.deliveries.c.id.in_([ids[0], *first]))
        conn.execute(asked.values(cancel_requested_at=rt.clock(), cancel_requested_by="ada"))
    engine.flights.cancel([ids[0], *first])
    assert engine.flights.wait_until_empty(15)
    engine.stop(0)
    assert [call for _, call in CALLS] == [[0, 1], [1, 2]]
    assert states(rt, ids) == ["cancelled", "succeeded", "succeeded"]


def test_batch_that_was_taken_away_is_stopped_as_a_whole(engine: Engine) -> None:
    rt = engine.rt
    ids = deliver(rt, {"do": "wait"}, {})
    drain(engine, "default")
    wait_until(lambda: CALLS, 10, "it runs")
    with rt.db.write() as conn:
        conn.execute(update(t.deliveries).values(lease_owner="worker-2"))
    engine.keeper.beat()
    assert engine.flights.wait_until_empty(15)
    assert (engine.flights.owned, rows_of(rt, t.attempts)) == ({}, [])
    assert states(rt, ids) == ["running"] * 2


def test_worker_that_stops_gives_the_whole_batch_back(rt: Runtime) -> None:
    CALLS.clear()
    ids = deliver(rt, {"do": "wait"}, {})
    engine = Engine(rt, load_registry([PLUGIN]), "worker-1")
    engine.start()
    drain(engine, "default")
    wait_until(lambda: CALLS, 10, "it runs")
    engine.stop(0)
    assert states(rt, ids) == ["pending"] * 2
    assert {row.outcome for row in rows_of(rt, t.attempts)} == {"interrupted"}


def test_batch_takes_one_slot(engine: Engine) -> None:
    deliver(engine.rt, {"do": "wait"}, *({} for _ in range(7)))
    drain(engine, "default")
    wait_until(lambda: CALLS, 10, "it runs")
    assert len(engine.flights.owned) == 8
    assert engine.flights.room() >= 3


def test_handler_of_lists_takes_a_single_event_too(engine: Engine) -> None:
    rt = engine.rt
    subscription = make_subscription(rt, handler="t.lists", retry=AT_ONCE)
    delivery = make_delivery(rt, make_event(rt, payload={"n": 7}), subscription, handler="t.lists")
    work(engine)
    assert [(delivery, [7])] == CALLS
    assert states(rt, [delivery]) == ["succeeded"]


def test_handler_that_takes_no_lists_any_more_is_missing(engine: Engine) -> None:
    ids = deliver(engine.rt, {}, {}, handler="notify")
    work(engine)
    rows = [row_of(engine.rt, t.deliveries, id) for id in ids]
    assert {(row.state, row.reason) for row in rows} == {("dead", "no_handler")}


def test_built_in_log_takes_lists(engine: Engine) -> None:
    ids = deliver(engine.rt, {}, {}, handler="log")
    work(engine)
    lines = rows_of(engine.rt, t.log_lines)
    assert [json.loads(row.text.split(" ", 3)[3])["n"] for row in lines] == [0, 1]
    assert states(engine.rt, ids) == ["succeeded"] * 2
