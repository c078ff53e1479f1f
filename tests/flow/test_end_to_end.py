"""The whole hub as `make run` starts it, used from outside: over HTTP, with its processes killed under it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.hub import Hub, running_hub
from tests.support.servers import Postgres, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def hub(request: pytest.FixtureRequest) -> Iterator[Hub]:
    """A hub on either database, for all tests of this file."""
    changes: dict[str, Any] = {}
    if request.param == "postgresql":
        cluster: Postgres = request.getfixturevalue("postgres_server")
        changes["database_url"] = cluster.create("end_to_end")
    with running_hub(**changes) as running:
        yield running


def _deliveries(hub: Hub, uid: str) -> list[Any]:
    ids = [handler["delivery_id"] for handler in hub.status(uid)["handlers"]]
    return [hub.request("GET", f"/api/v1/deliveries/{one}").json for one in ids]


def test_event_goes_from_the_post_to_recorded_outcomes(hub: Hub) -> None:
    amount = {"field": "data.amount", "op": "gt", "value": 100}
    hub.subscribe("e2e.paid", "log", name="All")
    hub.subscribe("e2e.*", "demo.receipt", name="Large", condition=amount)
    hub.subscribe("e2e.paid", "log", name="Never", condition={"not": amount})
    answer = hub.publish("e2e.paid", {"amount": 129.5}, id="p-1", source="shop", labels={"team": "tills"})
    assert sorted(one["name"] for one in answer["subscriptions"]) == ["All", "Large"]
    status = hub.wait_for(answer["uid"], "succeeded")
    assert set(status) == {"event_id", "status", "handlers", "errors", "timestamp"}
    for delivery in _deliveries(hub, answer["uid"]):
        assert [attempt["outcome"] for attempt in delivery["attempts"]] == ["succeeded"]
    event = hub.request("GET", "/api/v1/events/p-1").json
    assert (event["payload"], event["source"], event["labels"]) == ({"amount": 129.5}, "shop", {"team": "tills"})


def test_event_that_nothing_listens_for_is_kept(hub: Hub) -> None:
    answer = hub.publish("unheard.of", {"n": 1})
    assert (answer["status"], answer["deliveries"]) == ("unrouted", [])
    assert hub.status(answer["uid"])["status"] == "unrouted"


def test_failure_is_retried_by_its_policy_and_listed_as_an_error(hub: Hub) -> None:
    hub.subscribe("flaky.once", "demo.flaky", options={"failures": 1}, retry={"delays_s": [0.2]})
    answer = hub.publish("flaky.once")
    status = hub.wait_for(answer["uid"], "succeeded")
    (error,) = (one["error"] for one in status["errors"])
    assert set(error) >= {"event_id", "type", "message", "stack", "timestamp"}
    assert "refused the connection" in error["message"]
    listed = hub.request("GET", "/api/v1/errors").json["data"]
    assert answer["uid"] in {one["error"]["event_id"] for one in listed}


def test_event_posted_many_times_at_once_is_stored_and_handled_once(hub: Hub) -> None:
    hub.subscribe("double.sent", "log")
    document = {"type": "double.sent", "payload": {}, "id": "same", "source": "till"}
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: hub.request("POST", "/api/v1/events", document), range(40)))
    assert {answer.status for answer in answers} <= {200, 202}
    assert len({answer.json["uid"] for answer in answers}) == 1
    assert sum(not answer.json["duplicate"] for answer in answers) == 1
    uid = answers[0].json["uid"]
    hub.wait_for(uid, "succeeded")
    (delivery,) = _deliveries(hub, uid)
    assert len(delivery["attempts"]) == 1


def test_paused_subscription_holds_its_deliveries_until_it_is_resumed(hub: Hub) -> None:
    subscription = hub.subscribe("held.back", "log")
    assert hub.request("POST", f"/api/v1/subscriptions/{subscription}/pause", {"reason": "inventory"}).status < 300
    answer = hub.publish("held.back")
    assert [one["state"] for one in answer["deliveries"]] == ["held"]
    assert hub.request("POST", f"/api/v1/subscriptions/{subscription}/resume").status < 300
    hub.wait_for(answer["uid"], "succeeded")


def test_dead_delivery_is_revived_and_an_ended_one_rerun(hub: Hub) -> None:
    hub.subscribe("dies.once", "demo.flaky", options={"failures": 1}, retry={"max_attempts": 1})
    answer = hub.publish("dies.once")
    hub.wait_for(answer["uid"], "failed")
    delivery = answer["deliveries"][0]["id"]
    assert hub.request("POST", f"/api/v1/deliveries/{delivery}/retry").status < 300
    hub.wait_for(answer["uid"], "succeeded")
    assert hub.request("POST", f"/api/v1/deliveries/{delivery}/rerun").status < 300
    wait_until(lambda: len(hub.status(answer["uid"])["handlers"]) == 2, 10, "the re-run is there")


@pytest.mark.parametrize("part", ["worker", "redis", "beat", "web"])
def test_event_ends_and_is_recorded_once_when_a_part_is_killed_under_it(hub: Hub, part: str) -> None:
    hub.subscribe(f"killed.{part}", "demo.render", options={"steps": 6})
    uid = hub.publish(f"killed.{part}")["uid"]
    wait_until(lambda: hub.status(uid)["handlers"][0]["state"] == "running", 10, "the handler runs")
    hub.kill(part)
    wait_until(hub.is_ready, 20, "the hub is ready again")
    hub.wait_for(uid, "succeeded", 40)
    (delivery,) = _deliveries(hub, uid)
    assert [attempt["outcome"] for attempt in delivery["attempts"]].count("succeeded") == 1
    assert {attempt["outcome"] for attempt in delivery["attempts"]} <= {"crashed", "interrupted", "succeeded"}


def test_events_are_accepted_while_redis_is_down_and_done_when_it_is_back(hub: Hub) -> None:
    hub.subscribe("no.redis", "log")
    hub.kill("redis")
    uids = [hub.publish("no.redis", {"n": n})["uid"] for n in range(5)]
    for uid in uids:
        hub.wait_for(uid, "succeeded", 40)


def test_redis_that_forgets_everything_loses_nothing(hub: Hub) -> None:
    import redis

    hub.subscribe("flushed.away", "log")
    with redis.Redis.from_url(hub.settings.redis_url) as client:
        uids = []
        for n in range(20):
            uids.append(hub.publish("flushed.away", {"n": n})["uid"])
            client.flushall()
    for uid in uids:
        hub.wait_for(uid, "succeeded", 40)


def test_every_action_is_in_the_audit_log(hub: Hub) -> None:
    subscription = hub.subscribe("audited.thing", "log", name="To be audited")
    uid = hub.publish("audited.thing")["uid"]
    with hub.rt.db.read() as conn:
        from sqlalchemy import select

        from webapp.store.tables import audit

        found = conn.execute(
            select(audit.c.action, audit.c.actor_kind).where(audit.c.target_id.in_([subscription, uid]))
        )
        assert set(map(tuple, found)) == {("subscription.created", "key"), ("event.published", "key")}
