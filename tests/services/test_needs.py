"""What needs action: which deliveries, in which groups, and what becomes of them when people act."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import text

from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_event, make_subscription, row_of, rows_of
from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, NotFound, Refused
from webapp.runtime import Runtime
from webapp.services import needs, operate, subscriptions
from webapp.store import feed_needs as feed
from webapp.store import needs as store
from webapp.store import tables as t

BROKE = {"state": "dead", "reason": "exhausted", "error_type": "ValueError"}


def die(rt: Runtime, subscription: str, message: str = "no stock of tea-1", **fields: object) -> str:
    return make_delivery(rt, make_event(rt), subscription, **(BROKE | {"error_message": message} | fields))


def needing(rt: Runtime) -> set[str]:
    with rt.db.read() as conn:
        return set(conn.execute(store.newest_needing(conn, 100)).scalars())


def groups(rt: Runtime, **options: object) -> list[feed.NeedGroup]:
    with rt.db.read() as conn:
        return list(feed.list_groups(conn, **options).rows)  # type: ignore[arg-type]


def again(rt: Runtime, first: str, state: str, n: int = 1) -> str:
    row = row_of(rt, t.deliveries, first)
    return make_delivery(rt, row.event_uid, row.subscription_id, state=state, replay=n, replay_of=first)


@pytest.mark.parametrize(
    ("later", "needs_it"),
    [("running", False), ("held", False), ("succeeded", False), ("skipped", False), ("cancelled", True)],
)
def test_pair_needs_action_until_a_rerun_is_open_or_has_ended_well(rt: Runtime, later: str, needs_it: bool) -> None:
    dead = die(rt, make_subscription(rt))
    assert needing(rt) == {dead}
    again(rt, dead, later)
    assert needing(rt) == ({dead} if needs_it else set())


def test_of_a_pair_that_died_again_the_later_one_stands_for_it(rt: Runtime) -> None:
    dead = die(rt, make_subscription(rt))
    later = again(rt, dead, "dead")
    assert needing(rt) == {later}


@pytest.mark.parametrize("state", ["pending", "waiting", "held", "running", "succeeded", "cancelled", "skipped"])
def test_what_is_not_dead_needs_no_action(rt: Runtime, state: str) -> None:
    make_delivery(rt, state=state)
    assert needing(rt) == set()


def test_groups_are_by_subscription_type_and_message_without_its_particulars(rt: Runtime, clock: Clock) -> None:
    one, other = make_subscription(rt, name="One"), make_subscription(rt, name="Other")
    begun = clock()
    die(rt, one, "no stock of tea-1", finished_at=begun)
    newest = die(rt, one, "no stock of tea-2", finished_at=clock.advance(minutes=5))
    clock.advance(seconds=1)
    die(rt, one, "no such customer")
    clock.advance(seconds=1)
    die(rt, other, "no stock of tea-3")
    found = groups(rt)
    assert [(group.subscription_name, group.message, group.count) for group in found] == [
        ("Other", "no stock of tea-3", 1), ("One", "no such customer", 1), ("One", "no stock of tea-2", 2),
    ]  # fmt: skip
    assert (found[2].first_at, found[2].newest_id) == (begun, newest)
    assert [g.subscription_name for g in groups(rt, wanted=feed.NeedsFilter(subscription_id=other))] == ["Other"]


def test_windows_follow_each_other_by_keyset(rt: Runtime, clock: Clock) -> None:
    subscription, made = make_subscription(rt), []
    for n in range(5):
        clock.advance(seconds=1)
        made.append(die(rt, subscription, f"failure {'abcde'[n]}"))
    seen, before = [], ""
    for _ in range(3):
        with rt.db.read() as conn:
            page = feed.list_groups(conn, before=before, window=2)
        seen += [group.newest_id for group in page.rows]
        before = page.next or ""
    assert (seen, before) == (made[::-1], "")


def test_group_lists_its_deliveries_by_keyset(rt: Runtime, clock: Clock) -> None:
    subscription, made = make_subscription(rt), []
    for _ in range(3):
        clock.advance(seconds=1)
        made.append(die(rt, subscription))
        die(rt, subscription, "something else")
    [key] = [group.key for group in groups(rt) if group.message.startswith("no stock")]
    with rt.db.read() as conn:
        first = feed.list_group(conn, key, limit=2)
        second = feed.list_group(conn, key, before=first.next or "", limit=2)
    assert [row.id for row in (*first.rows, *second.rows)] == made[::-1]
    assert second.next is None
    assert feed.GroupKey.parse(str(key)) == key


def test_retrying_a_group_is_one_audited_operation(rt: Runtime, operator: Actor, clock: Clock) -> None:
    subscription, event = make_subscription(rt), make_event(rt)
    mine = [
        make_delivery(rt, event, subscription, replay=0, **BROKE, error_message="no stock"),
        die(rt, subscription, "no stock"),
    ]
    other = die(rt, subscription, "something else", cancel_requested_at=clock(), cancel_requested_by="vera")
    [key] = [group.key for group in groups(rt) if group.message == "no stock"]
    assert needs.retry_group(rt, operator, key, "stock is back") == 2
    rows = {row.id: row for row in rows_of(rt, t.deliveries)}
    assert {rows[id].state for id in mine} == {"pending"}
    assert rows[other].state == "dead"
    assert row_of(rt, t.events, event).status == "processing"
    assert rt.queue.rung == ["default"]  # type: ignore[attr-defined]
    [entry] = rows_of(rt, t.audit)
    assert (entry.action, entry.target_id, entry.details["count"]) == ("deliveries.retried", subscription, 2)
    assert (entry.details["reason"], set(entry.details["deliveries"])) == ("stock is back", set(mine))
    with pytest.raises(Conflict):
        needs.retry_group(rt, operator, key)


def test_retried_group_of_a_paused_subscription_is_held(rt: Runtime, operator: Actor) -> None:
    subscription = make_subscription(rt)
    dead = die(rt, subscription)
    subscriptions.pause(rt, operator, subscription, "maintenance")
    needs.retry_group(rt, operator, groups(rt)[0].key)
    assert row_of(rt, t.deliveries, dead).state == "held"


def test_retry_takes_so_many_at_once(rt: Runtime, operator: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "AT_ONCE", 2)
    subscription = make_subscription(rt)
    for _ in range(3):
        die(rt, subscription)
    key = groups(rt)[0].key
    assert [needs.retry_group(rt, operator, key), needs.retry_group(rt, operator, key)] == [2, 1]
    assert {row.details["reason"] for row in rows_of(rt, t.audit)} == {"all of: ValueError no stock of tea-1"}


def test_dismissed_deliveries_stay_dead_and_are_out_of_the_way(rt: Runtime, operator: Actor) -> None:
    subscription = make_subscription(rt)
    first, second = die(rt, subscription), die(rt, subscription)
    with pytest.raises(Refused):
        needs.dismiss(rt, operator, first, "  ")
    needs.dismiss(rt, operator, first, "test data")
    assert needing(rt) == {second}
    with pytest.raises(Conflict):
        needs.dismiss(rt, operator, first, "again")
    assert needs.dismiss_group(rt, operator, groups(rt)[0].key, "test data too") == 1
    assert needing(rt) == set()
    assert {(row.state, row.dismissed_by) for row in rows_of(rt, t.deliveries)} == {("dead", "olga")}
    assert {(row.action, row.details["reason"]) for row in rows_of(rt, t.audit)} == {
        ("delivery.dismissed", "test data"), ("deliveries.dismissed", "test data too"),
    }  # fmt: skip
    operate.retry(rt, operator, first)
    assert row_of(rt, t.deliveries, first).dismissed_at is None


def test_group_of_a_deleted_subscription_can_only_be_dismissed(rt: Runtime, operator: Actor) -> None:
    subscription = make_subscription(rt)
    die(rt, subscription)
    subscriptions.delete(rt, operator, subscription)
    [group] = groups(rt)
    assert group.subscription_deleted
    with pytest.raises(NotFound):
        needs.retry_group(rt, operator, group.key)
    assert needs.dismiss_group(rt, operator, group.key, "it is gone") == 1


@pytest.mark.parametrize(("rule", "index"), [("", "ix_deliveries_needs"), ("sub_1", "ix_deliveries_needs_of")])
def test_window_is_read_from_its_index(rt: Runtime, rule: str, index: str) -> None:
    with rt.db.read() as conn:
        query = store.newest_dead(conn, 10, subscription_id=rule, before="dlv_zz")
        sql = str(query.compile(rt.db.engine, compile_kwargs={"literal_binds": True}))
        if conn.dialect.name == "postgresql":
            conn.execute(text("SET LOCAL enable_seqscan = off"))
            plan = "\n".join(conn.execute(text("EXPLAIN " + sql)).scalars())
        else:
            plan = "\n".join(row[3] for row in conn.execute(text("EXPLAIN QUERY PLAN " + sql)))
    assert re.search(rf"\b{index}\b", plan)
    assert "Sort" not in plan
    assert "TEMP B-TREE" not in plan
