"""RabbitMQ both ways, with one broker for all of it: it is the one that takes seconds to start."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aio_pika
import pytest

from jobs.connectors.rabbitmq import RabbitmqHandler
from jobs.handlers import Done, Outcome, Retry
from tests.connectors.test_consuming import events, hub, is_connected, process, run, source, until, verdicts
from tests.support.attempts import EVENT
from tests.support.brokers import Broker
from tests.support.handing_over import Worker, work
from webapp.domain.access import Actor
from webapp.runtime import Runtime

pytestmark = pytest.mark.slow
__all__ = ["hub"]  # the fixture


def url_of(rabbitmq: Broker) -> str:
    return f"amqp://guest@127.0.0.1:{rabbitmq.port}"


async def channel_of(rabbitmq: Broker) -> Any:
    connection = await aio_pika.connect(f"amqp://guest:guest@127.0.0.1:{rabbitmq.port}/")
    return connection, await connection.channel()


def test_event_is_confirmed_by_the_broker_and_unroutable_ones_have_failed(rabbitmq: Broker) -> None:
    options = {"url": url_of(rabbitmq), "password": "guest"}

    async def act(worker: Worker) -> tuple[list[Outcome], list[Any]]:
        connection, channel = await channel_of(rabbitmq)
        queue = await channel.declare_queue("out")
        outcomes = [
            await worker.attempt(RabbitmqHandler({**options, "routing_key": "out"})),
            await worker.attempt(RabbitmqHandler({**options, "routing_key": "out", "format": "binary"})),
            await worker.attempt(RabbitmqHandler({**options, "routing_key": "nobody"})),
            await worker.attempt(RabbitmqHandler({**options, "exchange": "none"})),
            await worker.attempt(RabbitmqHandler({**options, "routing_key": "out"})),
            await worker.attempt(RabbitmqHandler({**options, "password": "wrong"})),
        ]
        messages = [await queue.get(no_ack=True) for _ in range(3)]
        await connection.close()
        return outcomes, messages

    outcomes, (structured, binary, after) = work(act)
    assert [type(one) for one in outcomes] == [Done, Done, Retry, Retry, Done, Retry]
    assert "no queue takes the routing key 'nobody'" in outcomes[2].reason
    assert "NOT_FOUND" in outcomes[3].reason
    assert "ACCESS_REFUSED" in outcomes[5].reason
    assert json.loads(structured.body)["id"] == EVENT.id
    assert (structured.content_type, structured.message_id) == ("application/cloudevents+json", "dlv_1")
    assert structured.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert (json.loads(binary.body), binary.headers["cloudEvents:type"]) == (EVENT.payload, EVENT.type)
    assert after.body == structured.body


def test_connection_that_broke_is_made_anew(rabbitmq: Broker) -> None:
    handler = RabbitmqHandler({"url": url_of(rabbitmq), "password": "guest", "routing_key": "anew"})

    async def act(worker: Worker) -> list[Outcome]:
        connection, channel = await channel_of(rabbitmq)
        await channel.declare_queue("anew")
        first = await worker.attempt(handler)
        lent = await worker.tools.resources.get(lambda: None, handler.key(handler.server()))  # type: ignore[arg-type,return-value]
        await lent._connection.close()
        second = await worker.attempt(handler)
        await connection.close()
        return [first, second]

    assert [type(one) for one in work(act)] == [Done, Done]


def test_queue_is_consumed_by_two_and_poison_is_dead_lettered(hub: Runtime, operator: Actor, rabbitmq: Broker) -> None:
    source(hub, operator, "rabbitmq", "guest", url=url_of(rabbitmq), queue="in")

    async def act() -> None:
        connection, channel = await channel_of(rabbitmq)
        dead = await channel.declare_queue("dead")
        dead_letter = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
        queue = await channel.declare_queue("in", arguments=dead_letter)
        one, other = process(hub), process(hub, "b")
        await until(lambda: all(line.health.state == "connected" for line in one.lines.values()) and one.lines, one)
        await until(
            lambda: all(line.health.state == "connected" for line in other.lines.values()) and other.lines, other
        )

        async def put(body: bytes, **more: Any) -> None:
            await channel.default_exchange.publish(aio_pika.Message(body, **more), "in")

        for n in range(10):
            await put(json.dumps({"type": "job.done", "n": n}).encode(), message_id=f"m-{n}")
        await put(b'{"type": "job.done"}', message_id="m-0")  # the same again
        await put(b"{", content_type="application/json", message_id="poison")
        await until(lambda: len(verdicts(hub)) == 12)
        await asyncio.gather(one.stop(), other.stop())
        assert (await dead.get(no_ack=True)).message_id == "poison"
        assert (await queue.declare()).message_count == 0
        await connection.close()

    run(act)
    assert [id for _, _, id in events(hub)] == [f"m-{n}" for n in range(10)]
    assert (verdicts(hub).count("duplicate"), verdicts(hub).count("rejected")) == (1, 1)


def test_source_recovers_from_a_queue_that_is_not_there_yet(
    hub: Runtime, operator: Actor, rabbitmq: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.consuming.line.FIRST_WAIT_S", 0.05)
    source(hub, operator, "rabbitmq", "guest", url=url_of(rabbitmq), queue="later")

    async def act() -> None:
        consumer = process(hub)
        await until(lambda: any(line.health.error for line in consumer.lines.values()), consumer)
        [line] = consumer.lines.values()
        assert "NOT_FOUND" in str(line.health.error)
        connection, channel = await channel_of(rabbitmq)
        await channel.declare_queue("later")
        await until(lambda: is_connected(hub), consumer)
        await consumer.stop()
        await connection.close()

    run(act)
