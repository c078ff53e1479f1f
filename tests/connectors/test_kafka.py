"""Kafka, as far as it goes without a server, which there is no package of: messages, offsets, and what a refusal means."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest
from aiokafka import TopicPartition

from jobs.connectors.kafka import PORTS, KafkaHandler, client_options, message_of
from jobs.connectors.servers import Server
from jobs.consuming import kafka as consuming
from jobs.handlers import Discard, Retry
from jobs.handlers.base import Invalid
from tests.support.attempts import EVENT
from tests.support.handing_over import work
from tests.support.hub import free_port


@dataclass
class Record:
    """As aiokafka hands it over."""

    topic: str = "orders"
    partition: int = 2
    offset: int = 7
    key: bytes | None = b"k"
    value: bytes | None = b"{}"
    headers: tuple[tuple[str, bytes], ...] = ()


def test_message_is_a_cloudevent_in_either_form() -> None:
    structured, binary = message_of(EVENT, "dlv_1", "structured"), message_of(EVENT, "dlv_1", "binary")
    assert json.loads(structured["value"])["type"] == EVENT.type
    assert dict(structured["headers"])["content-type"] == b"application/cloudevents+json"
    headers = dict(binary["headers"])
    assert (json.loads(binary["value"]), headers["ce_type"], headers["ce_id"]) == (EVENT.payload, b"order.paid", b"o-1")
    assert headers["delivery-id"] == b"dlv_1"


def test_binary_message_is_read_back_as_the_event_that_it_was() -> None:
    event = replace(EVENT, subject="größe 100 %")
    sent = message_of(event, "dlv_1", "binary")
    read = consuming.message_of(Record(value=sent["value"], headers=tuple(sent["headers"])))
    assert read.headers["message-id"] == "orders-2-7"
    assert read.headers["ce-subject"] == "gr%C3%B6%C3%9Fe%20100%20%25"
    assert read.headers["key"] == "k"


def test_offsets_stand_behind_the_last_message_of_each_partition() -> None:
    records = [Record(offset=7), Record(offset=9), Record(partition=0, offset=1)]
    assert consuming.offsets_after(records) == {TopicPartition("orders", 2): 10, TopicPartition("orders", 0): 2}


def test_several_hosts_and_a_user_make_a_sasl_client() -> None:
    server = Server.parse("kafkas://hub@a.example:1,b.example", PORTS, "p@ss")
    options = client_options(server, "SCRAM-SHA-256")
    assert options["bootstrap_servers"] == ["a.example:1", "b.example:9093"]
    assert (options["security_protocol"], options["sasl_plain_password"]) == ("SASL_SSL", "p@ss")


def test_silence_is_tried_again_a_private_address_and_a_bad_topic_are_not() -> None:
    url = f"kafka://127.0.0.1:{free_port()}"
    for many in ((), (EVENT, EVENT)):
        assert isinstance(work(lambda w, many=many: w.attempt(KafkaHandler({"url": url}), many=many)), Retry)  # type: ignore[misc]
    refused = work(lambda w: w.attempt(KafkaHandler({"url": url})), allow_private=False)
    assert isinstance(refused, Discard)
    with pytest.raises(Invalid, match="no name of a topic"):
        work(lambda w: w.attempt(KafkaHandler({"url": url, "topic": "a b"})))
