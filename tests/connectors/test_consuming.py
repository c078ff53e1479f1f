"""Sources that are consumed from real brokers: nothing is acknowledged before it is on disk, and nothing comes twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiomqtt
import nats as nats_client
import pytest
from redis import Redis

from jobs.consumer import Consumer
from jobs.dialing import GuardedLoop
from tests.support import factories as make
from tests.support.brokers import Broker
from tests.support.hub import free_port
from webapp.domain.access import Actor
from webapp.domain.errors import Unavailable
from webapp.domain.sources import parse_source
from webapp.runtime import Runtime
from webapp.services import sources as service
from webapp.services.accept import Acceptor
from webapp.services.presence import Presence
from webapp.store import tables, tables_inbound

GIVEN_UP_S = 20
EVENT = {"specversion": "1.0", "id": "ce-1", "source": "/there", "type": "there.happened", "data": {"n": 1}}


@pytest.fixture
def hub(make_runtime: Callable[..., Runtime], sqlite_url: str) -> Runtime:
    return make_runtime(sqlite_url, allow_private_addresses=True)


def source(rt: Runtime, operator: Actor, kind: str, secret: str | None = None, **options: str) -> str:
    document = {"name": f"From {kind}", "kind": kind, "options": options, "secret": secret}
    return service.create(rt, operator, parse_source(document)).id


def process(rt: Runtime, slot: str = "a") -> Consumer:
    return Consumer(rt, Presence(f"consumer-{slot}", "consumer", "here", 1, rt.clock()), slot)


def run(act: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=GuardedLoop) as runner:
        runner.run(asyncio.wait_for(act(), GIVEN_UP_S))  # type: ignore[arg-type]


async def until(done: Callable[[], object], consumer: Consumer | None = None) -> None:
    """Look at it again and again; the test as a whole is given up in the end."""
    while not done():
        if consumer is not None:
            await consumer.look()
        await asyncio.sleep(0.02)


def events(rt: Runtime) -> list[tuple[str, str, str]]:
    return sorted((row.type, row.source, row.id) for row in make.rows_of(rt, tables.events))


def verdicts(rt: Runtime) -> list[str]:
    return [row.verdict for row in make.rows_of(rt, tables_inbound.source_requests)]


def connections(rt: Runtime) -> list[tuple[str, str | None]]:
    return [(row.state, row.error) for row in make.rows_of(rt, tables_inbound.source_connections)]


def is_connected(rt: Runtime) -> bool:
    return [state for state, _ in connections(rt)] == ["connected"]


class Stuck:
    """A door that is shut for a while."""

    def __init__(self, door: Acceptor) -> None:
        self.door, self.is_shut, self.asked = door, True, 0

    def accept_many(self, *arguments: Any, **more: Any) -> Any:
        self.asked += 1
        if self.is_shut:
            raise Unavailable("The disk is full.")
        return self.door.accept_many(*arguments, **more)


# NATS


async def nats_stream(broker: Broker, name: str, subject: str) -> Any:
    client = await nats_client.connect(f"nats://127.0.0.1:{broker.port}", user="hub", password="pa:ss")
    js = client.jetstream()
    await js.add_stream(name=name, subjects=[subject])
    return client, js


def nats_source(rt: Runtime, operator: Actor, broker: Broker, stream: str) -> str:
    url = f"nats://hub@127.0.0.1:{broker.port}"
    return source(rt, operator, "nats", "pa:ss", url=url, stream=stream, group="hub", begin="all")


def test_nats_message_is_acknowledged_when_its_event_is_on_disk(hub: Runtime, operator: Actor, nats: Broker) -> None:
    nats_source(hub, operator, nats, "ORDERS")

    async def act() -> None:
        client, js = await nats_stream(nats, "ORDERS", "orders.>")
        await js.publish("orders.new", json.dumps({"type": "order.new", "n": 1}).encode())
        structured = {"content-type": "application/cloudevents+json"}
        await js.publish("orders.ce", json.dumps(EVENT).encode(), headers=structured)
        await js.publish("orders.bad", b"{", headers={"content-type": "application/json"})
        consumer = process(hub)
        consumer._acceptor = stuck = Stuck(consumer._acceptor)  # type: ignore[assignment]
        await until(lambda: stuck.asked, consumer)
        waiting = await js.consumer_info("ORDERS", "hub")
        assert (waiting.num_ack_pending, waiting.ack_floor.stream_seq) == (3, 0)
        stuck.is_shut = False
        await until(lambda: len(verdicts(hub)) == 3)
        await consumer.stop()
        settled = await js.consumer_info("ORDERS", "hub")
        assert (settled.num_ack_pending, settled.num_pending) == (0, 0)
        await client.close()

    run(act)
    assert events(hub) == [("order.new", "from-nats", "ORDERS-1"), ("there.happened", "/there", "ce-1")]
    assert sorted(verdicts(hub)) == ["accepted", "accepted", "rejected"]
    [refused] = [row for row in make.rows_of(hub, tables_inbound.source_requests) if row.verdict == "rejected"]
    assert "JSON" in refused.reason


def test_nats_is_consumed_again_after_a_crash_and_what_comes_again_is_a_duplicate(
    hub: Runtime, operator: Actor, nats: Broker
) -> None:
    nats_source(hub, operator, nats, "CRASH")

    async def act() -> None:
        client, js = await nats_stream(nats, "CRASH", "crash")
        await js.publish("crash", b"one")
        await client.close()
        consumer = process(hub)
        await until(lambda: len(events(hub)) == 1, consumer)
        nats.restart()
        await until(lambda: connections(hub) and connections(hub)[0][1], consumer)
        client = await nats_client.connect(f"nats://127.0.0.1:{nats.port}", user="hub", password="pa:ss")
        js = client.jetstream()
        await js.publish("crash", b"two")
        await until(lambda: len(events(hub)) == 2, consumer)
        await until(lambda: is_connected(hub), consumer)
        await consumer.stop()
        await js.delete_consumer("CRASH", "hub")  # what it knew is lost: everything comes again
        await client.close()
        consumer = process(hub)
        await until(lambda: verdicts(hub).count("duplicate") == 2, consumer)
        await consumer.stop()

    run(act)
    assert [id for _, _, id in events(hub)] == ["CRASH-1", "CRASH-2"]


# MQTT


def test_mqtt_message_comes_again_until_it_is_on_disk(hub: Runtime, operator: Actor, mosquitto: Broker) -> None:
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    source(hub, operator, "mqtt", url=url, topic="plant/#")

    async def act() -> None:
        consumer = process(hub)
        consumer._acceptor = stuck = Stuck(consumer._acceptor)  # type: ignore[assignment]
        await until(lambda: is_connected(hub), consumer)
        async with aiomqtt.Client("127.0.0.1", mosquitto.port) as other:
            await other.publish("plant/boiler", b'{"type": "boiler.hot", "degrees": 90}', qos=1)
        await until(lambda: stuck.asked)
        await consumer.stop()
        assert events(hub) == []
        consumer = process(hub)
        await until(lambda: events(hub), consumer)
        await until(lambda: is_connected(hub), consumer)
        mosquitto.restart()
        await until(lambda: connections(hub)[0][1], consumer)
        await until(lambda: is_connected(hub), consumer)
        async with aiomqtt.Client("127.0.0.1", mosquitto.port) as other:
            await other.publish("plant/pump", b"off", qos=1)
        await until(lambda: len(events(hub)) == 2)
        await consumer.stop()

    run(act)
    assert [type for type, _, _ in events(hub)] == ["boiler.hot", "from-mqtt"]
    rows = make.rows_of(hub, tables.events)
    assert sorted(row.subject for row in rows) == ["plant/boiler", "plant/pump"]


# Redis


@pytest.fixture
def redis_tcp(redis_url: str) -> Any:
    port = free_port()
    with Redis.from_url(redis_url) as client:
        client.config_set("bind", "127.0.0.1")
        client.config_set("port", port)
        yield port, client
        client.config_set("port", 0)


def test_redis_entries_are_shared_among_processes_and_left_ones_are_read_again(
    hub: Runtime, operator: Actor, redis_tcp: Any
) -> None:
    port, client = redis_tcp
    source(hub, operator, "redis", url=f"redis://127.0.0.1:{port}/0", stream="in", group="hub", begin="all")
    ids = [client.xadd("in", {"type": "line.read", "n": n}).decode() for n in range(3)]

    async def act() -> None:
        first = process(hub)
        first._acceptor = stuck = Stuck(first._acceptor)  # type: ignore[assignment]
        await until(lambda: stuck.asked, first)
        await first.stop()
        assert client.xpending("in", "hub")["pending"] == 3
        one, other = process(hub), process(hub, "b")
        await until(lambda: len(events(hub)) == 3, one)
        await until(
            lambda: other.lines and all(line.health.state == "connected" for line in other.lines.values()), other
        )
        ids.extend([client.xadd("in", {"type": "line.read", "n": n}).decode() for n in range(20)])
        ids.append(client.xadd("in", {"event": json.dumps(EVENT)}).decode())
        await until(lambda: len(events(hub)) == 24, one)
        await asyncio.gather(one.stop(), other.stop())
        assert client.xpending("in", "hub")["pending"] == 0

    run(act)
    assert [id for type, _, id in events(hub) if type == "line.read"] == sorted(ids[:-1])
    assert set(verdicts(hub)) == {"accepted"}


# Whatever the kind


def test_change_disabling_and_deletion_of_a_source_take_effect(hub: Runtime, operator: Actor, redis_tcp: Any) -> None:
    port, client = redis_tcp
    source_id = source(
        hub, operator, "redis", url=f"redis://127.0.0.1:{port}/0", stream="one", group="hub", begin="all"
    )

    async def act() -> None:
        consumer = process(hub)
        await until(lambda: is_connected(hub), consumer)
        changed = {"name": "Other", "kind": "redis", "options": {"url": f"redis://127.0.0.1:{port}/0", "stream": "two", "group": "hub", "begin": "all"}}  # fmt: skip
        service.update(hub, operator, source_id, parse_source(changed))
        client.xadd("two", {"n": 1})
        await until(lambda: len(events(hub)) == 1, consumer)
        service.disable(hub, operator, source_id)
        await consumer.look()
        assert (consumer.lines, connections(hub)) == ({}, [])
        service.enable(hub, operator, source_id)
        await until(lambda: is_connected(hub), consumer)
        service.delete(hub, operator, source_id)
        await consumer.look()
        assert (consumer.lines, connections(hub)) == ({}, [])

    run(act)


def test_private_address_is_not_consumed_unless_allowed(
    make_runtime: Callable[..., Runtime], sqlite_url: str, operator: Actor
) -> None:
    rt = make_runtime(sqlite_url)
    source(rt, operator, "nats", url="nats://127.0.0.1:4222", stream="S", group="g")

    async def act() -> None:
        consumer = process(rt)
        await until(lambda: connections(rt) and connections(rt)[0][1], consumer)
        await consumer.stop()
        consumer.sign_off()

    async def look() -> None:
        await act()

    [(state, error)] = _told(rt, look)
    assert (state, "127.0.0.1 is not a public address" in str(error)) == ("waiting", True)
    assert connections(rt) == []


def _told(rt: Runtime, act: Callable[[], Awaitable[None]]) -> list[tuple[str, str | None]]:
    told: list[tuple[str, str | None]] = []

    async def watched() -> None:
        task = asyncio.ensure_future(act())
        while not task.done():
            told[:] = connections(rt) or told
            await asyncio.sleep(0.005)
        await task

    run(watched)
    return told
