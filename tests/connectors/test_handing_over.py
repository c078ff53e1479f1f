"""Connectors hand events over to real servers, which are asked what they have."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import aiomqtt
import nats as nats_client
import pytest
from minio import Minio
from redis import Redis

from jobs.connectors.mqtt import MqttHandler
from jobs.connectors.nats import NatsHandler
from jobs.connectors.redis_stream import RedisStreamHandler
from jobs.connectors.s3 import S3Handler
from jobs.handlers import Discard, Done, Outcome, Retry
from jobs.handlers.base import EventHandler, Invalid
from tests.support.attempts import EVENT
from tests.support.brokers import Broker
from tests.support.clock import NOON
from tests.support.handing_over import Worker, work
from tests.support.hub import free_port
from webapp.domain.events import Event

SECOND = Event(id="o-2", type="order.paid", payload={"amount": 3}, timestamp=NOON, source="shop", uid="evt_2")


def once(handler: type[EventHandler], options: Mapping[str, Any], **more: Any) -> Outcome:
    allow = more.pop("allow_private", True)
    outcome: Outcome = work(lambda worker: worker.attempt(handler(options), **more), allow_private=allow)
    return outcome


def done(outcome: Outcome) -> Any:
    assert isinstance(outcome, Done), outcome
    return outcome.result


# NATS


@pytest.fixture
def nats_url(nats: Broker) -> str:
    return f"nats://hub@127.0.0.1:{nats.port}"


def with_stream(url: str, name: str, subjects: list[str]) -> None:
    async def make() -> None:
        client = await nats_client.connect(url.replace("hub@", "hub:pa%3Ass@").replace("%3A", ":"))
        await client.jetstream().add_stream(name=name, subjects=subjects)
        await client.close()

    asyncio.run(make())


def stored_in(nats: Broker, stream: str) -> list[Any]:
    async def read() -> list[Any]:
        client = await nats_client.connect(f"nats://127.0.0.1:{nats.port}", user="hub", password="pa:ss")
        js = client.jetstream()
        state = (await js.stream_info(stream)).state
        found = [await js.get_msg(stream, seq) for seq in range(1, state.messages + 1)]
        await client.close()
        return found

    return asyncio.run(read())


def test_nats_stream_has_the_event_once_however_often_it_is_sent(nats: Broker, nats_url: str) -> None:
    with_stream(f"nats://hub:pa:ss@127.0.0.1:{nats.port}", "ONCE", ["once.>"])
    options = {"url": nats_url, "password": "pa:ss", "subject": "once.{type}"}
    assert done(once(NatsHandler, options)) == {"stream": "ONCE", "seq": 1, "duplicate": False}
    assert done(once(NatsHandler, options))["duplicate"] is True
    binary = done(once(NatsHandler, {**options, "format": "binary"}, delivery_id="dlv_2"))
    assert binary["seq"] == 2
    structured, plain = stored_in(nats, "ONCE")
    assert json.loads(structured.data)["id"] == EVENT.id
    assert structured.headers["content-type"] == "application/cloudevents+json"
    assert (json.loads(plain.data), plain.headers["ce-type"]) == (EVENT.payload, EVENT.type)


def test_nats_says_why_it_will_not_have_an_event(nats: Broker, nats_url: str) -> None:
    nobody = once(NatsHandler, {"url": nats_url, "password": "pa:ss", "subject": "nobody.listens"})
    assert isinstance(nobody, Retry)
    assert "no stream takes the subject 'nobody.listens'" in str(nobody.reason)
    wrong = once(NatsHandler, {"url": nats_url, "password": "wrong"})
    assert isinstance(wrong, Retry)  # it says "Authorization Violation", unless its reset is quicker than its words
    with pytest.raises(Invalid, match="no subject"):
        once(NatsHandler, {"url": nats_url, "subject": "a.*"})


def test_nats_connection_is_made_anew_after_the_server_crashed(nats: Broker, nats_url: str) -> None:
    with_stream(f"nats://hub:pa:ss@127.0.0.1:{nats.port}", "AGAIN", ["again"])
    handler = NatsHandler({"url": nats_url, "password": "pa:ss", "subject": "again"})

    async def act(worker: Worker) -> list[Outcome]:
        first = await worker.attempt(handler, delivery_id="a")
        nats.stop()
        second = await worker.attempt(handler, delivery_id="b")
        nats.start()
        return [first, second, await worker.attempt(handler, delivery_id="b")]

    first, second, third = work(act)
    assert isinstance(second, Retry)
    assert (done(first)["seq"], done(third)["seq"]) == (1, 2)


# MQTT


def test_mqtt_subscriber_gets_what_was_sent_before_and_after_a_crash(mosquitto: Broker) -> None:
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    handler = MqttHandler({"url": url, "topic": "shop/{data.customer.name}", "format": "binary"})

    async def hear(worker: Worker) -> tuple[list[Outcome], list[aiomqtt.Message]]:
        outcomes, heard = [], []
        for n in range(2):
            if n:
                mosquitto.restart()
            async with aiomqtt.Client("127.0.0.1", mosquitto.port, protocol=aiomqtt.ProtocolVersion.V5) as ear:
                await ear.subscribe("shop/#", qos=1)
                outcomes.append(await worker.attempt(handler))
                async with asyncio.timeout(10):
                    heard.append(await anext(aiter(ear.messages)))
        return outcomes, heard

    outcomes, heard = work(hear)
    assert [done(one)["topic"] for one in outcomes] == ["shop/Ada"] * 2
    for message in heard:
        told = dict(message.properties.UserProperty)
        assert (json.loads(message.payload), told["type"]) == (EVENT.payload, EVENT.type)
        assert (told["message-id"], message.properties.ContentType) == ("dlv_1", "application/json")


def test_mqtt_refusal_of_the_broker_is_no_success(mosquitto: Broker) -> None:
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    refused = once(MqttHandler, {"url": url, "topic": "forbidden/x"})
    assert isinstance(refused, Retry)
    assert "Not authorized" in str(refused.reason)
    with pytest.raises(Invalid, match="no topic"):
        once(MqttHandler, {"url": url, "topic": "a/+"})


# Redis


@pytest.fixture
def redis_tcp(redis_url: str) -> Any:
    """The project's Redis, by TCP as well."""
    port = free_port()
    with Redis.from_url(redis_url) as client:
        client.config_set("bind", "127.0.0.1")
        client.config_set("port", port)
        yield port, client
        client.config_set("port", 0)


def test_redis_stream_has_the_event_and_is_cut_to_its_length(redis_tcp: Any) -> None:
    port, client = redis_tcp
    result = done(once(RedisStreamHandler, {"url": f"redis://127.0.0.1:{port}/0", "stream": "hub:{type}"}))
    [(entry, fields)] = client.xrange("hub:order.paid")
    assert entry.decode() == result["entry"]
    assert json.loads(fields[b"event"])["type"] == "order.paid"
    assert fields[b"delivery_id"] == b"dlv_1"
    client.set("taken", "by a string")
    refused = once(RedisStreamHandler, {"url": f"redis://127.0.0.1:{port}/0", "stream": "taken"})
    assert isinstance(refused, Retry)
    assert "WRONGTYPE" in str(refused.reason)
    denied = once(RedisStreamHandler, {"url": f"redis://nobody@127.0.0.1:{port}/0", "password": "wrong"})
    assert isinstance(denied, Retry)


# S3


@pytest.fixture
def bucket(s3_url: str) -> Minio:
    client = Minio(s3_url.removeprefix("http://"), "key", "secret", secure=False, region="us-east-1")
    if not client.bucket_exists("events"):
        client.make_bucket("events")
    return client


def s3(url: str, **more: Any) -> dict[str, Any]:
    return {"url": url, "bucket": "events", "access_key": "key", "password": "secret", **more}


def test_s3_object_is_named_by_the_event_and_overwritten_by_a_second_try(s3_url: str, bucket: Minio) -> None:
    options = s3(s3_url, key="{type}/{data.customer.name}/{uid}.json")
    for _ in range(2):
        assert done(once(S3Handler, options))["key"] == "order.paid/Ada/evt_1.json"
    [found] = bucket.list_objects("events", "order.paid/Ada/", recursive=True)
    with bucket.get_object("events", str(found.object_name)) as answer:
        assert json.loads(answer.read())["data"] == EVENT.payload
        assert answer.headers["Content-Type"] == "application/cloudevents+json"


def test_s3_batch_is_one_object_of_lines(s3_url: str, bucket: Minio) -> None:
    result = done(once(S3Handler, s3(s3_url, key="lines/{type}.ndjson"), many=[EVENT, SECOND]))
    assert result["key"] == "lines/order.paid-dlv_1.ndjson"
    with bucket.get_object("events", result["key"]) as answer:
        assert [json.loads(line)["id"] for line in answer.read().splitlines()] == ["o-1", "o-2"]


def test_s3_says_what_is_wrong(s3_url: str) -> None:
    missing = once(S3Handler, s3(s3_url, bucket="no-such-bucket"))
    assert isinstance(missing, Retry)
    assert "NoSuchBucket" in str(missing.reason)
    evil = Event(id="1", type="t", payload={"day": "../../x"}, timestamp=NOON, source="s", uid="evt_3")
    assert done(once(S3Handler, s3(s3_url, key="{data.day}/{uid}"), event=evil))["key"] == "..-..-x/evt_3"
    with pytest.raises(Invalid, match="neither"):
        once(S3Handler, {"url": s3_url, "bucket": "events", "access_key": "key"})


# All of them

EACH = {
    "nats": (NatsHandler, "nats", {}),
    "mqtt": (MqttHandler, "mqtt", {}),
    "redis": (RedisStreamHandler, "redis", {}),
    "s3": (S3Handler, "http", {"bucket": "events"}),
}


@pytest.mark.parametrize("name", EACH)
def test_private_address_is_refused_and_silence_is_tried_again(name: str) -> None:
    handler, scheme, options = EACH[name]
    url = f"{scheme}://127.0.0.1:{free_port()}"
    assert isinstance(once(handler, {"url": url, **options}), Retry)
    refused = once(handler, {"url": url, **options}, allow_private=False)
    assert isinstance(refused, Discard)
    assert "127.0.0.1 is not a public address" in str(refused.reason)
    with pytest.raises(Invalid, match="url must begin with"):
        once(handler, {"url": "gopher://x", **options})
