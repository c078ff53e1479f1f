"""The client: what it publishes is stored once, whatever happens on the way."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from signalbox import AsyncClient, Client, Outbox, Receipt, Refusal, RefusedError, Retries, UnavailableError, document
from signalbox.wire import BATCH_BYTES, in_batches, retry_after
from tests.client.conftest import SWIFT
from tests.support.factories import rows_of
from tests.support.hub import free_port
from tests.support.people import Program
from webapp.runtime import Runtime
from webapp.store import tables

ACCEPTED = json.dumps({"id": "a", "uid": "evt_1", "duplicate": False, "status": "unrouted"}).encode()


def test_event_is_published_with_all_its_fields(client: Client, sqlite_rt: Runtime) -> None:
    at = datetime(2026, 3, 2, 11, 59, tzinfo=UTC)
    receipt = client.publish(
        "order.paid", {"amount": 12.5, "note": "Grüße 🎉"}, id="o-1", source="shop", subject="o/1", timestamp=at, version=2,
        labels={"region": "eu"}, correlation_id="c-1",
    )  # fmt: skip
    assert (receipt.id, receipt.duplicate, receipt.status) == ("o-1", False, "unrouted")
    event = client.event(receipt.uid)
    assert event["payload"] == {"amount": 12.5, "note": "Grüße 🎉"}
    assert (event["source"], event["subject"], event["version"]) == ("shop", "o/1", 2)
    assert (event["labels"], event["timestamp"]) == ({"region": "eu"}, "2026-03-02T11:59:00.000Z")
    assert client.status(receipt.uid)["status"] == "unrouted"
    assert len(rows_of(sqlite_rt, tables.events)) == 1


def test_event_sent_again_is_the_same_event(client: Client, sqlite_rt: Runtime) -> None:
    first, second = (client.publish("order.paid", {"n": 1}, id="same", source="shop") for _ in range(2))
    assert (first.duplicate, second.duplicate) == (False, True)
    assert first.uid == second.uid
    assert len(rows_of(sqlite_rt, tables.events)) == 1


def test_refusal_names_every_fault(client: Client) -> None:
    with pytest.raises(RefusedError) as caught:
        client.publish("Not A Type", {}, labels={"A": "b"})
    assert caught.value.status == 422
    assert caught.value.slug == "invalid-event"
    assert [one["pointer"] for one in caught.value.errors] == ["/type", "/labels/A"]
    assert "/type" in str(caught.value)


def test_wrong_key_is_refused_at_once(url: str) -> None:
    with Client(url, "sbx_wrong", retries=SWIFT) as client, pytest.raises(RefusedError) as caught:
        client.publish("order.paid")
    assert (caught.value.status, caught.value.slug) == (401, "unauthenticated")


def test_many_are_published_in_order_with_a_result_each(client: Client, sqlite_rt: Runtime) -> None:
    events = [document("order.paid", {"n": n}, id=f"o-{n}") for n in range(1_200)]
    events[700]["type"] = "No Type"
    results = client.publish_many(events)
    assert [index for index, one in enumerate(results) if isinstance(one, Refusal)] == [700]
    refusal = results[700]
    assert isinstance(refusal, Refusal)
    assert (refusal.index, refusal.error.status) == (700, 422)
    assert [one.id for one in results if isinstance(one, Receipt)] == [f"o-{n}" for n in range(1_200) if n != 700]
    assert len(rows_of(sqlite_rt, tables.events)) == 1_199


def test_atomic_is_all_or_nothing(client: Client, sqlite_rt: Runtime) -> None:
    with pytest.raises(RefusedError):
        client.publish_many([document("order.paid"), document("No Type")], atomic=True)
    assert rows_of(sqlite_rt, tables.events) == []
    with pytest.raises(ValueError, match="too many"):
        client.publish_many((document("order.paid") for _ in range(1_001)), atomic=True)


def test_lists_are_walked_to_their_end(client: Client) -> None:
    client.publish_many([document("order.paid", id=str(n)) for n in range(7)])
    assert [one["id"] for one in client.events(type="order.*", limit=3)] == [str(n) for n in reversed(range(7))]


def test_ended_event_comes_with_its_outcome(client: Client) -> None:
    receipt = client.publish("nobody.cares", wait=5)
    assert receipt.outcome is not None
    assert receipt.outcome["status"] == receipt.status == "unrouted"


# What goes wrong on the way


@pytest.mark.parametrize("first", [(503, {}, b""), (429, {"Retry-After": "0"}, b"{}"), (502, {}, b"<html>"), (504, {}, b""), (0, {}, b"")])  # fmt: skip
def test_passing_trouble_is_tried_again_with_the_same_id(sulky: Any, first: tuple[int, dict[str, str], bytes]) -> None:
    server = sulky(first, (202, {}, ACCEPTED))
    with Client(server.url, "sbx_k", retries=SWIFT) as client:
        assert client.publish("order.paid").uid == "evt_1"
    bodies = [json.loads(body) for _, _, _, body in server.seen]
    assert len(bodies) == 2
    assert bodies[0] == bodies[1]
    assert bodies[0]["id"]


def test_lasting_trouble_ends_after_the_tries(sulky: Any) -> None:
    server = sulky((503, {}, b'{"detail": "The database is away."}'))
    with (
        Client(server.url, "sbx_k", retries=SWIFT) as client,
        pytest.raises(UnavailableError, match="database is away"),
    ):
        client.publish("order.paid")
    assert len(server.seen) == 3


def test_hub_that_asks_for_more_patience_than_there_is_is_left_alone(sulky: Any) -> None:
    server = sulky((429, {"Retry-After": "3600"}, b"{}"))
    with Client(server.url, "sbx_k", retries=SWIFT) as client, pytest.raises(UnavailableError):
        client.publish("order.paid")
    assert len(server.seen) == 1


def test_action_that_may_have_happened_is_not_repeated(sulky: Any) -> None:
    for trouble, times in (((0, {}, b""), 1), ((502, {}, b""), 1), ((503, {}, b""), 3)):
        server = sulky(trouble)
        with Client(server.url, "sbx_k", retries=SWIFT) as client, pytest.raises(UnavailableError):
            client.rerun("dlv_1")
        assert len(server.seen) == times


def test_answer_of_something_else_is_no_answer(sulky: Any) -> None:
    server = sulky((200, {}, b"<html>captive portal</html>"))
    with (
        Client(server.url, "sbx_k", retries=SWIFT) as client,
        pytest.raises(UnavailableError, match="not one of a Signalbox"),
    ):
        client.publish("order.paid")


def test_key_is_sent_to_the_hub_only_and_redirects_are_not_followed(sulky: Any) -> None:
    other = sulky((202, {}, ACCEPTED))
    server = sulky((307, {"Location": other.url}, b""))
    with Client(server.url, "sbx_k", retries=SWIFT) as client, pytest.raises(UnavailableError):
        client.publish("order.paid")
    assert other.seen == []
    assert server.seen[0][2]["Authorization"] == "Bearer sbx_k"


def test_waits_grow_to_a_limit_and_heed_the_hub() -> None:
    retries = Retries(tries=6, first_s=1, most_s=5, patience_s=60)
    assert [retries.wait(n, None, 1.0) for n in range(1, 7)] == [1, 2, 4, 5, 5, None]
    assert retries.wait(1, None, 0.0) == 0.5
    assert retries.wait(1, 30, 0.5) == 30
    assert retries.wait(1, 61, 0.5) is None
    assert retry_after("Thu, 01 Jan 1970 00:01:00 GMT", now_s=20) == 40
    assert retry_after("soon") is None


def test_requests_stay_below_what_the_hub_takes() -> None:
    big = [document("t", {"x": "y" * 1_000_000}) for _ in range(9)]
    assert all(sum(map(len, lines)) <= BATCH_BYTES for lines in in_batches(big))
    assert [len(lines) for lines in in_batches(document("t") for _ in range(2_001))] == [1000, 1000, 1]


@pytest.mark.parametrize("payload", [{"x": float("nan")}, {"x": object()}])
def test_payload_that_is_no_json_is_refused_before_it_is_sent(sulky: Any, payload: dict[str, Any]) -> None:
    server = sulky((202, {}, ACCEPTED))
    with Client(server.url, "sbx_k") as client, pytest.raises((ValueError, TypeError)):
        client.publish("order.paid", payload)
    assert server.seen == []


def test_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        document("t", timestamp=datetime(2026, 1, 1))


# asyncio


def test_async_client_does_the_same(url: str, api: Program, sqlite_rt: Runtime) -> None:
    async def run() -> None:
        async with AsyncClient(url, api.secret, retries=SWIFT) as hub:
            first, second = await asyncio.gather(*(hub.publish("order.paid", {"n": n}, id=str(n)) for n in range(2)))
            assert {first.id, second.id} == {"0", "1"}
            results = await hub.publish_many([document("order.paid"), document("No Type")])
            assert [isinstance(one, Refusal) for one in results] == [False, True]
            assert len([one async for one in hub.events(limit=2)]) == 3
            assert (await hub.status(first.uid))["status"] == "unrouted"
            with pytest.raises(RefusedError):
                await hub.event("evt_none")

    asyncio.run(run())
    assert len(rows_of(sqlite_rt, tables.events)) == 3


def test_async_client_keeps_in_the_outbox_what_cannot_be_sent(tmp_path: Any) -> None:
    box = Outbox(tmp_path / "outbox.db")

    async def run() -> Receipt:
        async with AsyncClient(f"http://127.0.0.1:{free_port()}", "sbx_k", retries=SWIFT, outbox=box) as hub:
            return await hub.publish("order.paid")

    assert asyncio.run(run()).status == "offline"
    assert box.waiting == 1


@pytest.fixture
def box(tmp_path: Any) -> Outbox:
    return Outbox(tmp_path / "outbox.db", most=3)


def test_outbox_is_emptied_once_the_hub_is_back(client: Client, box: Outbox, sqlite_rt: Runtime) -> None:
    with Client(f"http://127.0.0.1:{free_port()}", "sbx_k", retries=SWIFT, outbox=box) as offline:
        kept = offline.publish("order.paid", {"n": 1})
        assert (kept.status, kept.uid) == ("offline", "")
        assert box.flush(offline).trouble is not None
    box.add({"type": "No Type"})
    found = box.flush(client)
    assert (found.sent, found.refused, found.waiting, found.trouble) == (1, 1, 0, None)
    assert [row.id for row in rows_of(sqlite_rt, tables.events)] == [kept.id]
    [refused] = box.refused()
    assert refused.problem is not None
    assert refused.problem["type"] == "/problems/invalid-event-type"
    assert box.retry_refused() == 1
    assert box.flush(client).refused == 1
    assert box.drop(refused.seq)
    assert box.refused() == []


def test_answer_that_was_lost_stores_nothing_twice(client: Client, box: Outbox, sqlite_rt: Runtime) -> None:
    box.add({"type": "order.paid", "id": "a"})
    client.publish_many([{"type": "order.paid", "id": "a"}])  # it arrived, but nobody heard
    assert box.flush(client).sent == 1
    assert len(rows_of(sqlite_rt, tables.events)) == 1


def test_outbox_survives_its_program_and_has_an_end(box: Outbox) -> None:
    for n in range(3):
        box.add({"type": "order.paid", "id": str(n)})
    assert Outbox(box.path).waiting == 3
    with pytest.raises(UnavailableError, match="full"):
        box.add({"type": "order.paid"})
