"""Backtests on stored events, on both databases: newest first, in chunks, within a budget, and where they stop."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest
from sqlalchemy import insert

from tests.support.clock import Clock
from tests.support.factories import make_event, make_subscription
from webapp.domain.backtest import rule_to_test
from webapp.domain.conditions import parse_condition
from webapp.domain.errors import NotFound
from webapp.domain.routing import Rule
from webapp.runtime import Runtime
from webapp.services import backtest as service
from webapp.services.backtest import backtest
from webapp.store import tables
from webapp.store.feed_backtest import events_before

BIG: dict[str, Any] = {"field": "data.amount", "op": "gte", "value": 10}


def _draft(pattern: str = "order.*", condition: Any = None) -> Rule:
    return rule_to_test(pattern, None if condition is None else parse_condition(condition))


def _many(rt: Runtime, clock: Clock, amounts: range) -> list[str]:
    """One order a second with these amounts; gives the uids, oldest first."""
    rows = []
    for amount in amounts:
        clock.advance(seconds=1)
        uid, now = rt.new_id("evt"), rt.clock()
        rows.append(
            {
                "uid": uid, "id": uid, "source": "tests", "type": "order.paid", "version": 1, "timestamp": now,
                "received_at": now, "payload": json.dumps({"amount": amount}), "labels": {}, "received_by": "system:system",
            }
        )  # fmt: skip
    with rt.db.write() as conn:
        conn.execute(insert(tables.events), rows)
    return [str(row["uid"]) for row in rows]


def test_backtest_looks_at_stored_events_newest_first(rt: Runtime, clock: Clock) -> None:
    uids = _many(rt, clock, range(20))
    make_event(rt, type="stock.low", payload={"amount": 99})
    found = backtest(rt, _draft(condition=BIG))
    assert (found.tally.looked, found.tally.matched, found.next, found.is_cut) == (21, 10, None, False)
    assert [one.uid for one in found.tally.samples["kept"]] == uids[:14:-1]


def test_backtest_compares_with_the_saved_rule(rt: Runtime, clock: Clock) -> None:
    _many(rt, clock, range(20))
    saved = make_subscription(rt, pattern="order.paid", condition={"field": "data.amount", "op": "lt", "value": 12})
    tally = backtest(rt, _draft(condition=BIG), saved).tally
    assert dict(tally.counts) == {"kept": 2, "added": 8, "removed": 10}
    same = backtest(rt, _draft("order.paid", {"field": "data.amount", "op": "lt", "value": 12}), saved).tally
    assert dict(same.counts) == {"kept": 12}


def test_backtest_of_an_empty_history_finds_nothing(rt: Runtime) -> None:
    found = backtest(rt, _draft())
    assert (found.tally.looked, found.next, found.tally.slots()) == (0, None, ())


def test_backtest_stops_after_so_many_and_goes_on_from_there(
    rt: Runtime, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "EVENTS", 10)
    monkeypatch.setattr(service, "CHUNK", 4)
    uids = _many(rt, clock, range(25))
    seen, before, looks = [], "", []
    while True:
        found = backtest(rt, _draft(condition=BIG), before=before)
        looks.append((found.tally.looked, found.is_cut))
        seen.append(found.tally.matched)
        if found.next is None:
            break
        before = found.next
        assert before in uids
    assert (looks, seen) == ([(10, False), (10, False), (5, False)], [10, 5, 0])


def test_backtest_that_runs_out_of_time_says_how_far_it_came_and_goes_on(rt: Runtime, clock: Clock) -> None:
    uids = _many(rt, clock, range(30))
    seconds = count()  # each look at the watch takes a tenth of the budget
    found = backtest(rt, _draft(), stopwatch=lambda: next(seconds) * service.BUDGET_S / 10)
    assert (found.tally.looked, found.is_cut, found.next) == (11, True, uids[19])
    rest = backtest(rt, _draft(), before=uids[19])
    assert (rest.tally.looked, rest.is_cut, rest.next) == (19, False, None)


def test_backtest_needs_a_subscription_that_is_there(rt: Runtime, clock: Clock) -> None:
    for gone in ("sub_nothing", make_subscription(rt, deleted_at=clock())):
        with pytest.raises(NotFound):
            backtest(rt, _draft(), gone)


def test_payloads_are_read_only_where_a_condition_may_need_them(rt: Runtime) -> None:
    for kind in ("order.paid", "order_x.paid", "orders.paid"):
        make_event(rt, type=kind)

    def read(*rules: Rule) -> dict[str, bool]:
        with rt.db.read() as conn:
            return {event.type: bool(event.payload) for event in events_before(conn, "", rules, 10)}

    assert read(_draft("*")) == {"order.paid": False, "order_x.paid": False, "orders.paid": False}
    assert read(_draft("order.*", BIG)) == {"order.paid": True, "order_x.paid": False, "orders.paid": False}
    assert read(_draft("order_x.*", BIG), _draft("*s.*d", BIG)) == {
        "order.paid": False, "order_x.paid": True, "orders.paid": True,
    }  # fmt: skip
