"""``ctx.state`` in real attempts: written with the outcome, once, and only by whoever holds the lease."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event as sa_event

from jobs import isolated
from jobs.drain import drain
from jobs.engine import Engine
from jobs.horselimit import HorseLimit
from jobs.registry import load_registry
from tests.support.attempts import Notes
from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_event, make_subscription, row_of, rows_of
from tests.support.remembering import ARRIVED, MEETING, PLUGIN
from tests.support.servers import wait_until
from tests.support.work import claim_all
from webapp.domain.access import Actor
from webapp.domain.errors import Forbidden, NotFound
from webapp.domain.state import Stored
from webapp.runtime import Runtime
from webapp.services import states, upkeep
from webapp.store import tables as t

NO_WAIT = {"max_attempts": 3, "base_s": 0, "cap_s": 0}


@pytest.fixture
def engine(rt: Runtime) -> Iterator[Engine]:
    MEETING.clear()
    ARRIVED.clear()
    engine = Engine(rt, load_registry([PLUGIN, "tests.support.misbehaving"]), "worker-1")
    engine.start()
    yield engine
    engine.stop(0)


@pytest.fixture
def subscription(rt: Runtime) -> str:
    return make_subscription(rt, handler="t.remember", retry=NO_WAIT)


def deliver(rt: Runtime, subscription: str, *do: Any, **fields: Any) -> str:
    return make_delivery(rt, make_event(rt, payload={"do": do}), subscription, **{"handler": "t.remember", **fields})


def run(engine: Engine) -> None:
    drain(engine, "default")
    assert engine.flights.wait_until_empty(15)


def remembered(rt: Runtime) -> dict[str, Any]:
    return {row.key: row.value for row in rows_of(rt, t.handler_state)}


def result_of(rt: Runtime, delivery: str) -> str | None:
    return next(row.result for row in rows_of(rt, t.attempts) if row.delivery_id == delivery)


def test_values_last_from_event_to_event(engine: Engine, rt: Runtime, subscription: str) -> None:
    deliver(
        rt, subscription, ["get", "seen", "none"], ["set", "seen", {"n": 1}], ["get", "seen"], ["increment", "n", 2]
    )
    run(engine)
    assert remembered(rt) == {"seen": {"n": 1}, "n": 2}
    second = deliver(
        rt, subscription, ["get", "seen"], ["increment", "n"], ["get", "n"], ["delete", "seen"], ["get", "seen"]
    )
    run(engine)
    assert remembered(rt) == {"n": 3}
    assert result_of(rt, second) == '[{"n":1},null,3,null,null]'


def test_every_subscription_has_a_state_of_its_own(engine: Engine, rt: Runtime, subscription: str) -> None:
    other = make_subscription(rt, handler="t.remember")
    deliver(rt, subscription, ["set", "k", 1])
    foreign = deliver(rt, other, ["get", "k", "nothing"], ["increment", "k", 5])
    run(engine)
    assert result_of(rt, foreign) == '["nothing",null]'
    assert sorted(row.value for row in rows_of(rt, t.handler_state)) == [1, 5]


@pytest.mark.parametrize("end", ["fail", "retry"])
def test_failed_attempt_remembers_nothing(engine: Engine, rt: Runtime, subscription: str, end: str) -> None:
    deliver(rt, subscription, ["set", "k", 1], ["increment", "n"], [end])
    run(engine)
    assert remembered(rt) == {}


def test_snooze_is_no_failure_and_remembers(engine: Engine, rt: Runtime, subscription: str) -> None:
    delivery = deliver(rt, subscription, ["set", "cursor", "p2"], ["snooze"])
    run(engine)
    assert (remembered(rt), row_of(rt, t.deliveries, delivery).state) == ({"cursor": "p2"}, "waiting")


def test_increments_beside_each_other_add_up(engine: Engine, rt: Runtime, subscription: str) -> None:
    event = make_event(rt, payload={"do": [["increment", "n"], ["increment", "m", 0.5]]})
    for n in range(40):
        make_delivery(rt, event, subscription, handler="t.remember", replay=n)
    other = Engine(rt, load_registry([PLUGIN]), "worker-2")
    other.start()
    try:
        other.take(claim_all(rt, "worker-2", limit=20))
        run(engine)
        assert other.flights.wait_until_empty(15)
    finally:
        other.stop(0)
    assert remembered(rt) == {"n": 40, "m": 20}
    assert {row.attempt for row in rows_of(rt, t.deliveries)} == {1}, "nobody collides"


def test_set_after_get_that_somebody_overtook_is_tried_again(
    engine: Engine, rt: Runtime, subscription: str, clock: Clock
) -> None:
    MEETING["go"] = threading.Event()
    slow = deliver(rt, subscription, ["get", "k"], ["wait", "go"], ["set", "k", "slow"], ["increment", "n"])
    drain(engine, "default")
    wait_until(lambda: ARRIVED, 10)
    quick = deliver(rt, subscription, ["set", "k", "quick"])
    engine.take(claim_all(rt))
    wait_until(lambda: row_of(rt, t.deliveries, quick).state == "succeeded", 10)
    MEETING["go"].set()
    assert engine.flights.wait_until_empty(15)
    row = row_of(rt, t.deliveries, slow)
    assert (row.state, row.tries_used, row.error_type) == ("waiting", 0, "StateChanged")
    assert row.error_message == "state changed meanwhile: k"
    assert remembered(rt) == {"k": "quick"}, "nothing of the attempt was written"
    clock.advance(seconds=2)
    run(engine)
    assert row_of(rt, t.deliveries, slow).state == "succeeded"
    assert remembered(rt) == {"k": "slow", "n": 1}
    assert [row.outcome for row in rows_of(rt, t.attempts) if row.delivery_id == slow].count("succeeded") == 1


def test_counting_by_get_and_set_loses_nothing(engine: Engine, rt: Runtime, subscription: str, clock: Clock) -> None:
    MEETING["go"] = threading.Event()
    made = [deliver(rt, subscription, ["get", "k"], ["wait", "go"], ["set", "k", n]) for n in range(3)]
    drain(engine, "default")
    wait_until(lambda: len(ARRIVED) == 3, 10)
    MEETING["go"].set()
    assert engine.flights.wait_until_empty(15)
    assert sorted(row_of(rt, t.deliveries, one).state for one in made) == ["succeeded", "waiting", "waiting"]
    for _ in range(2):
        clock.advance(seconds=2)
        run(engine)
    assert rows_of(rt, t.handler_state)[0].v > 2
    assert {row_of(rt, t.deliveries, one).state for one in made} <= {"succeeded", "waiting"}


def test_attempt_that_lost_its_lease_changes_nothing(
    engine: Engine, rt: Runtime, subscription: str, clock: Clock
) -> None:
    MEETING["go"] = threading.Event()
    delivery = deliver(rt, subscription, ["wait", "go"], ["set", "k", "zombie"], ["increment", "n"])
    drain(engine, "default")
    wait_until(lambda: ARRIVED, 10)
    clock.advance(seconds=60)
    assert upkeep.rescue(rt) == 1
    MEETING["go"].set()
    assert engine.flights.wait_until_empty(15)
    assert remembered(rt) == {}
    row = row_of(rt, t.deliveries, delivery)
    assert (row.state, row.lane) == ("waiting", "isolated")


def test_increment_of_what_is_no_number_fails_as_a_try(engine: Engine, rt: Runtime, subscription: str) -> None:
    deliver(rt, subscription, ["set", "k", "text"])
    run(engine)
    delivery = deliver(rt, subscription, ["set", "other", 1], ["increment", "k"])
    run(engine)
    row = row_of(rt, t.deliveries, delivery)
    assert (row.state, row.tries_used, row.error_type) == ("waiting", 1, "StateRefused")
    assert remembered(rt) == {"k": "text"}


def test_isolated_handlers_remember_too(rt: Runtime) -> None:
    subscription = make_subscription(rt, handler="t.remember_alone")
    delivery = deliver(rt, subscription, ["increment", "n"], handler="t.remember_alone", lane="isolated")
    plan = isolated.Plan(rt.settings, load_registry([PLUGIN]), "horse", parent_pid=0, limit=HorseLimit())
    assert isolated.Horse(rt, plan).run() == 1
    signal.alarm(0)
    assert (row_of(rt, t.deliveries, delivery).state, remembered(rt)) == ("succeeded", {"n": 1})


def test_handlers_without_state_cost_no_statement(engine: Engine, rt: Runtime) -> None:
    statements: list[str] = []
    for db_engine in {rt.db.engine, rt.db._write_engine}:
        sa_event.listen(db_engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    make_delivery(rt, subscription_id=make_subscription(rt, handler="t.ok"), handler="t.ok")
    run(engine)
    assert statements
    assert [one for one in statements if "handler_state" in one] == []


def test_person_who_may_operate_can_make_a_handler_forget(
    rt: Runtime, subscription: str, operator: Actor, viewer: Actor
) -> None:
    with rt.db.write() as conn:
        row = {"subscription_id": subscription, "key": "k", "value": 1, "updated_at": rt.clock()}
        conn.execute(t.handler_state.insert(), row)
    with pytest.raises(Forbidden):
        states.forget(rt, viewer, subscription, "k")
    states.forget(rt, operator, subscription, "k")
    assert remembered(rt) == {}
    with pytest.raises(NotFound):
        states.forget(rt, operator, subscription, "k")
    [entry] = rows_of(rt, t.audit)
    assert (entry.action, entry.actor_name, entry.details) == ("state.forgotten", "olga", {"key": "k"})


def test_attempt_sees_its_own_changes_and_says_what_they_rest_on() -> None:
    asyncio.run(_change_and_look())


async def _change_and_look() -> None:
    notes = Notes()
    notes.stored = {"n": Stored(4, 7), "list": Stored([1], 2)}
    ctx = notes.context()
    assert ctx.changes == ()
    got = await ctx.state.get("list")
    got.append(2)
    assert await ctx.state.get("list") == [1], "what was handed out is a copy"
    await ctx.state.set("list", got)
    await ctx.state.increment("n", 2)
    await ctx.state.increment("n")
    assert await ctx.state.get("n") == 7
    await ctx.state.set("blind", 1)
    await ctx.state.increment("blind")
    await ctx.state.set("gone", None)
    assert [(one.key, one.kind, one.value, one.seen) for one in ctx.changes] == [
        ("list", "set", [1, 2], 2),
        ("n", "increment", 3, None),
        ("blind", "set", 2, None),
        ("gone", "delete", None, None),
    ]
    for n in range(96):
        await ctx.state.get(f"k{n}")
    with pytest.raises(ValueError, match="100 keys"):
        await ctx.state.get("one more")
