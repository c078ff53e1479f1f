"""The Python API, used as a program would: coroutines in, plain values out."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.services.test_operate import end, take
from tests.support.factories import row_of
from webapp.broker import Broker
from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, Forbidden, NotFound, Refused
from webapp.domain.events import Event
from webapp.domain.outcomes import Discard
from webapp.runtime import Runtime
from webapp.services.catalog import HandlerInfo, register_handlers
from webapp.services.cause import CAUSE
from webapp.store.tables import events, subscriptions


def run(coroutine: object) -> object:
    return asyncio.run(coroutine)  # type: ignore[arg-type]


@pytest.fixture
def broker(rt: Runtime) -> Broker:
    register_handlers(rt, [HandlerInfo("log"), HandlerInfo("slow", isolated=True)])
    return Broker(rt)


def test_publish_routes_to_what_was_subscribed(rt: Runtime, broker: Broker) -> None:
    async def scenario() -> None:
        wanted = await broker.subscribe(
            "order.*",
            "log",
            condition={"field": "data.amount", "op": "gt", "value": 100},
            retry={"preset": "patient", "max_age_s": 86400, "never_retry": ["ValueError"]},
            timeout="1m30s",
        )
        big = await broker.publish(Event(id="o-1", type="order.paid", payload={"amount": 129.5}, source="shop"))
        small = await broker.publish({"type": "order.paid", "payload": {"amount": 5}})
        assert [one.subscription_id for one in big.deliveries] == [wanted]
        assert (small.status, small.deliveries) == ("unrouted", ())

    run(scenario())
    (claimed,) = take(rt)
    assert (claimed.event.id, claimed.event.source, claimed.policy.preset) == ("o-1", "shop", "patient")
    assert (claimed.policy.max_age_s, claimed.policy.never_retry) == (86400, ("ValueError",))
    assert claimed.timeout.total_seconds() == 90


def test_publish_can_be_delayed_and_names_its_cause(rt: Runtime, broker: Broker) -> None:
    async def scenario() -> None:
        await broker.subscribe("order.*", "log")
        cause = await broker.publish({"type": "order.created"})
        CAUSE.set(cause.uid)  # as inside a handler
        event = Event(id="o-1", type="order.paid", payload={})
        answers = [
            await broker.publish(event, delay=timedelta(minutes=10)),
            await broker.publish({"type": "order.paid"}, deliver_at=rt.clock() + timedelta(minutes=20)),
            await broker.publish({"type": "order.paid", "causation_id": "mine"}),
        ]
        stored = [row_of(rt, events, one.uid) for one in answers]
        assert [row.causation_id for row in stored] == [cause.uid, cause.uid, "mine"]
        assert [row.depth for row in stored] == [1, 1, 0]
        later = [None if row.deliver_at is None else row.deliver_at - rt.clock() for row in stored]
        assert later == [timedelta(minutes=10), timedelta(minutes=20), None]
        with pytest.raises(Refused):
            await broker.publish(event, delay="1h", deliver_at="2026-11-23T14:00:00Z")

    run(scenario())


def test_get_status_has_the_promised_shape(rt: Runtime, broker: Broker) -> None:
    run(broker.subscribe("*", "log", name="Log it"))
    run(broker.publish(Event(id="o-1", type="order.paid", payload={}, source="shop")))
    end(rt, take(rt)[0], Discard("bad address"))
    status = run(broker.get_status("o-1"))
    assert isinstance(status, dict)
    assert list(status) == ["event_id", "status", "handlers", "errors", "timestamp"]
    assert (status["event_id"], status["status"]) == ("o-1", "failed")
    (handler,) = status["handlers"]
    assert (handler["subscription"], handler["state"], handler["reason"]) == ("Log it", "dead", "permanent")
    (error,) = status["errors"]
    assert list(error) == ["error"]
    assert list(error["error"]) == ["event_id", "type", "message", "stack", "timestamp"]
    assert (error["error"]["event_id"], error["error"]["type"]) == ("o-1", "ValueError")


def test_get_status_refuses_an_id_that_two_sources_used(broker: Broker) -> None:
    for source in ("shop", "office"):
        run(broker.publish(Event(id="o-1", type="order.paid", payload={}, source=source)))
    with pytest.raises(Exception, match="Several sources"):
        run(broker.get_status("o-1"))
    with pytest.raises(NotFound):
        run(broker.get_status("o-2"))


def test_publish_names_every_fault_of_a_mapping(broker: Broker) -> None:
    with pytest.raises(Refused) as refusal:
        run(broker.publish({"type": "Order Paid", "payload": [], "colour": "red"}))
    assert {fault.pointer for fault in refusal.value.faults} == {"/type", "/payload", "/colour"}


def test_subscribe_refuses_a_handler_that_no_worker_offers(broker: Broker) -> None:
    with pytest.raises(Refused) as refusal:
        run(broker.subscribe("order.*", "no-such-handler"))
    assert [fault.pointer for fault in refusal.value.faults] == ["/handler"]


def test_unsubscribe_stops_the_routing_and_cancels_what_waits(rt: Runtime, broker: Broker) -> None:
    subscription = run(broker.subscribe("*", "log"))
    run(broker.publish({"type": "order.paid", "id": "o-1", "payload": {}}))
    run(broker.unsubscribe(str(subscription)))
    status = run(broker.get_status("o-1"))
    assert isinstance(status, dict)
    assert status["handlers"][0]["state"] == "cancelled"
    later = run(broker.publish({"type": "order.paid", "payload": {}}))
    assert later.status == "unrouted"  # type: ignore[attr-defined]
    with pytest.raises(NotFound):
        run(broker.unsubscribe(str(subscription)))


def test_isolated_handlers_get_a_bell_of_their_own(rt: Runtime, broker: Broker) -> None:
    run(broker.subscribe("*", "slow"))
    run(broker.publish({"type": "order.paid", "payload": {}}))
    assert rt.queue.rung == ["isolated"]  # type: ignore[attr-defined]


def test_publish_refuses_an_actor_who_may_only_look(rt: Runtime, viewer: Actor) -> None:
    with pytest.raises(Forbidden):
        run(Broker(rt, viewer).publish({"type": "order.paid", "payload": {}}))


def test_pause_has_an_end_and_resume_a_pace(rt: Runtime, broker: Broker) -> None:
    async def scenario() -> str:
        rule = await broker.subscribe("order.*", "log", transform={"payload": {"n": "{data.n}"}})
        assert await broker.pause(rule, reason="maintenance", period=timedelta(hours=2)) == 0
        await broker.publish({"type": "order.paid"})
        with pytest.raises(Conflict):
            await broker.pause(rule)
        assert await broker.resume(rule, pace=5) == 1
        await broker.pause(rule, until=rt.clock() + timedelta(hours=1))
        for wrong in ({"pace": 0}, {"pace": -1}):
            with pytest.raises(Refused):
                await broker.resume(rule, **wrong)
        with pytest.raises(Refused):
            await broker.pause(rule, until="tomorrow")
        return rule

    row = row_of(rt, subscriptions, str(run(scenario())))
    assert row.resume_at == rt.clock() + timedelta(hours=1)
    assert row.transform == {"payload": {"n": "{data.n}"}}
