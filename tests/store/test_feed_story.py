"""What else belongs to the story of an event, on both databases: deeds of people, notices, schema, requests, versions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert

from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_event, make_subscription
from webapp.domain.access import SYSTEM, Actor
from webapp.runtime import Runtime
from webapp.store import audit, tables, versions
from webapp.store import feed_story as feed
from webapp.store.feed_lineage import children_of

ADA = Actor("user", "usr_1", "ada", "operator")


def _add(rt: Runtime, table: Any, **row: Any) -> None:
    with rt.db.write() as conn:
        conn.execute(insert(table), row)


def _audit(rt: Runtime, action: str, target: str) -> None:
    row = audit.entry(id=rt.new_id("aud"), at=rt.clock(), actor=ADA, action=action, target_kind="x", target_id=target)
    with rt.db.write() as conn:
        audit.add_many(conn, [row])


def _request(rt: Runtime, source: str, uid: str | None, at: datetime) -> str:
    made = rt.new_id("req")
    kept: dict[str, Any] = {"headers": {}, "body": "", "ip": "192.0.2.1", "verdict": "accepted", "status": 202}
    _add(rt, tables.source_requests, id=made, source_id=source, at=at, event_uid=uid, **kept)
    return made


def _source(rt: Runtime) -> str:
    made, now = rt.new_id("src"), rt.clock()
    about = {"id": made, "name": "Shop", "token": made, "kind": "publish", "event_source": "shop"}
    _add(rt, tables.sources, **about, created_at=now, updated_at=now)
    return made


def test_what_people_did_to_event_and_deliveries_is_told_in_order_but_not_its_birth(rt: Runtime, clock: Clock) -> None:
    uid = make_event(rt)
    delivery = make_delivery(rt, uid)
    for action, target in (
        ("event.published", uid), ("delivery.retried", delivery), ("event.rerouted", uid), ("delivery.retried", "dlv_x"),
    ):  # fmt: skip
        clock.advance(milliseconds=2)  # ids of one millisecond have no order
        _audit(rt, action, target)
    with rt.db.read() as conn:
        told = feed.actions_on(conn, uid, [delivery])
        assert [(one.name, one.who, one.link) for one in told] == [
            ("delivery.retried", "ada", f"/audit?target={delivery}"),
            ("event.rerouted", "ada", f"/audit?target={uid}"),
        ]
        assert feed.actions_on(conn, "evt_none", []) == ()


def test_many_deeds_are_told_from_the_newest(rt: Runtime, clock: Clock) -> None:
    uid = make_event(rt)
    for number in range(feed.TOLD + 3):
        clock.advance(milliseconds=2)
        _audit(rt, f"event.deed_{number}", uid)
    with rt.db.read() as conn:
        told = feed.actions_on(conn, uid, [])
    assert [one.name for one in told] == [f"event.deed_{number}" for number in range(3, feed.TOLD + 3)]


def test_notices_name_their_event_and_lead_to_paths_of_the_hub_only(rt: Runtime, clock: Clock) -> None:
    uid, now = make_event(rt), rt.clock()
    rows = [("Paid", "/events/x", uid), ("Evil", "https://evil.example", uid), ("Other", None, "evt_other")]
    for title, link, of in rows:
        clock.advance(milliseconds=2)
        about = {"id": rt.new_id("ntf"), "title": title, "link": link, "event_uid": of, "severity": "info", "body": ""}
        _add(rt, tables.notifications, **about, at=now, last_at=now)
    with rt.db.read() as conn:
        told = [(one.name, one.link, one.tone) for one in feed.notices_of(conn, uid)]
    assert told == [("Paid", "/events/x", "info"), ("Evil", "", "info")]


def test_schema_is_the_one_that_was_there_when_the_event_came(rt: Runtime) -> None:
    now = rt.clock()
    words = {"name": "order.paid", "state": "declared", "owner": "", "description": ""}
    _add(rt, tables.event_types, **words, created_at=now, updated_at=now)
    given = {"type": "order.paid", "version": 2, "schema": "{}", "note": "", "created_by": "ada"}
    _add(rt, tables.event_type_versions, **given, created_at=now)
    with rt.db.read() as conn:
        assert feed.schema_of(conn, "order.paid", 2, now) == 2
        assert feed.schema_of(conn, "order.paid", 2, now - timedelta(seconds=1)) is None
        assert feed.schema_of(conn, "order.paid", 1, now) is None


def test_previous_is_of_the_same_type_and_source(rt: Runtime, clock: Clock) -> None:
    def came(type: str, source: str) -> str:
        clock.advance(milliseconds=2)
        return make_event(rt, type=type, source=source)

    first = came("order.paid", "shop")
    came("order.paid", "till"), came("order.sent", "shop")
    last = came("order.paid", "shop")
    with rt.db.read() as conn:
        assert feed.previous_of(conn, last, "order.paid", "shop") == first
        assert feed.previous_of(conn, first, "order.paid", "shop") is None


def test_request_that_brought_an_event_is_the_first_that_names_it(rt: Runtime, clock: Clock) -> None:
    source, other = _source(rt), _source(rt)
    _request(rt, source, None, rt.clock())
    uid, came = make_event(rt), rt.clock()
    clock.advance(milliseconds=2)
    first = _request(rt, source, uid, rt.clock())
    clock.advance(seconds=30)
    _request(rt, source, uid, rt.clock())  # sent again
    with rt.db.read() as conn:
        assert feed.request_of(conn, source, uid, came) == first
        assert feed.request_of(conn, other, uid, came) is None


def test_version_that_ran_is_the_one_in_force_when_the_last_try_began(rt: Runtime, clock: Clock) -> None:
    uid, subscription, old = make_event(rt), make_subscription(rt), make_subscription(rt)
    begun = rt.clock()
    with rt.db.write() as conn:
        for revision, minutes in ((1, -60), (3, -1), (4, 1)):
            at = begun + timedelta(minutes=minutes)
            versions.add(conn, subscription, revision, {}, at=at, actor=SYSTEM, action="updated")
    ran = make_delivery(rt, uid, subscription, state="running", started_at=begun)
    make_delivery(rt, uid, subscription, replay=1)  # has not begun
    make_delivery(rt, uid, old, state="succeeded", started_at=begun)  # older than its history
    with rt.db.read() as conn:
        assert feed.versions_run(conn, uid) == {ran: 3}


def test_children_are_told_newest_first_and_counted_beyond_the_limit(rt: Runtime, clock: Clock) -> None:
    uid, made = make_event(rt), list[str]()
    for _ in range(3):
        clock.advance(milliseconds=2)
        made.append(make_event(rt, causation_id=uid))
    with rt.db.read() as conn:
        rows, has_more = children_of(conn, uid, limit=2)
    assert ([one.uid for one in rows], has_more) == ([made[2], made[1]], True)
