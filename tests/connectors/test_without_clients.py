"""A hub without the optional clients starts, offers no such handler and says what to install."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from jobs.addresses import AddressRefused
from jobs.connectors import PACKAGES, servers
from jobs.consuming import feeds
from jobs.dialing import GuardedLoop, check, forbid_private
from jobs.outbound import OutboundRefused
from jobs.registry import load_registry
from jobs.resources import Resources

HANDLERS = {"rabbitmq", "kafka", "nats", "mqtt", "redis_stream", "s3"}


def test_all_are_offered_when_their_clients_are_there() -> None:
    assert set(load_registry(()).entries) >= HANDLERS


def test_missing_clients_are_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("jobs.connectors.find_spec", lambda name: None if name != "redis" else object())
    with caplog.at_level(logging.INFO):
        registry = load_registry(())
    assert HANDLERS & set(registry.entries) == {"redis_stream"}
    assert registry.problems == []
    [line] = [record.getMessage() for record in caplog.records if "not offered" in record.getMessage()]
    assert "rabbitmq, kafka, nats, mqtt, s3" in line
    assert "pip install -r requirements-connectors.txt" in line


def test_consumer_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.connectors.find_spec", lambda name: None)
    row = type("Row", (), {"kind": "nats", "options": {}})
    with pytest.raises(feeds.ClientMissing, match="pip install"):
        feeds.open_feed(feeds.Source(row, "", "1"))
    assert set(PACKAGES) == HANDLERS


def test_loop_holds_clients_to_public_addresses_whatever_they_were_told() -> None:
    async def connect() -> None:
        with pytest.raises(OutboundRefused):
            await check("127.0.0.1", 1, allow_private=False)
        forbid_private()
        loop, sock = asyncio.get_running_loop(), socket.socket()
        sock.setblocking(False)
        with sock, pytest.raises(AddressRefused):
            await loop.sock_connect(sock, ("127.0.0.1", 1))
        with pytest.raises(OSError, match="not a public address"):  # as a library does it, from a task of its own
            await asyncio.create_task(asyncio.open_connection("127.0.0.1", 1))

    with asyncio.Runner(loop_factory=GuardedLoop) as runner:
        runner.run(connect())


def test_broken_client_is_replaced_once_for_all_who_share_it() -> None:
    made: list[str] = []

    async def client():  # type: ignore[no-untyped-def]
        made.append("made")
        yield object()
        made.append("closed")

    async def act() -> None:
        lent = Resources()
        first = await lent.get(client, "key")
        assert await lent.get(client, "key") is first
        lent.forget("key", first)
        second = await lent.get(client, "key")
        lent.forget("key", first)  # somebody who noticed later
        assert await lent.get(client, "key") is second is not first
        await lent.close()

    asyncio.run(act())
    assert made == ["made", "closed", "made", "closed"] or made == ["made", "made", "closed", "closed"]


@pytest.mark.parametrize("url", ["amqp:/x", "http://h", "amqp://", "amqp://h:x", "amqp://a b"])
def test_bad_url_is_told_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="url") as told:
        servers.Server.parse(url, {"amqp": (5672, False)})
    assert url not in str(told.value)
