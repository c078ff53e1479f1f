"""Explaining stored and imagined events, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_event, make_subscription, rows_of
from webapp.domain.access import Actor
from webapp.domain.backtest import rule_to_test
from webapp.domain.conditions import parse_condition
from webapp.domain.errors import NotFound
from webapp.domain.events import Event, EventDraft, parse_event
from webapp.domain.subscriptions import SubscriptionDraft
from webapp.runtime import Runtime
from webapp.services import explain, subscriptions
from webapp.services.accept import Acceptor
from webapp.services.backtest import backtest
from webapp.services.explain import Explained, explain_draft, explain_event
from webapp.store import tables
from webapp.store.events import get_event_row, to_event

BIG: dict[str, Any] = {"field": "data.amount", "op": "gt", "value": 500}


def _draft(rt: Runtime, **fields: Any) -> EventDraft:
    return parse_event({"type": "order.paid", **fields}, default_source="tests", now=rt.clock())


def _event(rt: Runtime, uid: str) -> Event:
    with rt.db.read() as conn:
        return to_event(get_event_row(conn, uid))


def _said(found: Explained) -> dict[str, tuple[str, str]]:
    return {one.rule.name: (one.would, one.note) for one in found.verdicts}


def test_explanation_of_a_draft_is_what_accepting_does(rt: Runtime, operator: Actor) -> None:
    for name, pattern, condition in (("Big", "order.*", BIG), ("All", "*", None), ("Users", "user.*", None)):
        make_subscription(rt, name=name, pattern=pattern, condition=condition)
    for amount, names in ((129.5, {"All"}), (501, {"All", "Big"})):
        draft = _draft(rt, payload={"amount": amount})
        found = explain_draft(rt, draft)
        accepted = Acceptor(rt).accept(draft, operator)
        would = {one.rule.name for one in found.verdicts if one.would == "run"}
        assert would == names == {one.subscription_name for one in accepted.deliveries}
        assert (found.matched, found.total) == (len(names), 2)


def test_id_that_the_hub_gave_was_not_there_when_the_event_was_routed(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt, name="Named", condition={"field": "id", "op": "exists"})
    make_subscription(rt, name="Nameless", condition={"field": "id", "op": "missing"})
    for fields, name in (({}, "Nameless"), ({"id": "o-1"}, "Named")):
        accepted = Acceptor(rt).accept(_draft(rt, **fields), operator)
        found = explain_event(rt, _event(rt, accepted.uid))
        tally = backtest(rt, rule_to_test("*", parse_condition({"field": "id", "op": "exists"}))).tally
        assert [one.subscription_name for one in accepted.deliveries] == [name]
        assert [one.rule.name for one in found.verdicts if one.would == "run"] == [name]
        assert tally.matched == (name == "Named")


def test_explaining_a_draft_stores_nothing(rt: Runtime) -> None:
    make_subscription(rt)
    explain_draft(rt, _draft(rt))
    assert [rows_of(rt, table) for table in (tables.events, tables.deliveries, tables.audit)] == [[], [], []]


def test_one_subscription_is_explained_whether_its_pattern_fits_or_not(rt: Runtime) -> None:
    users = make_subscription(rt, name="Users", pattern="user.*")
    found = explain_draft(rt, _draft(rt), users)
    assert found.verdicts[0].failure is not None
    assert found.verdicts[0].failure.message == "The pattern user.* does not fit order.paid."
    with pytest.raises(NotFound):
        explain_draft(rt, _draft(rt), "sub_nothing")


def test_stored_event_tells_then_from_today(rt: Runtime, clock: Clock, operator: Actor) -> None:
    make_subscription(rt, name="Gone before", deleted_at=clock())
    clock.advance(seconds=1)
    names = ["Ran", "Edited away", "Deleted since", "Paused since", "Edited to fit"]
    made = {
        name: make_subscription(rt, name=name, condition=BIG if name == "Edited to fit" else None) for name in names
    }
    uid = make_event(rt, type="order.paid", payload={"amount": 1})
    for name in names[:4]:
        make_delivery(rt, uid, made[name], state="succeeded")
    clock.advance(hours=1)
    make_subscription(rt, name="Made since")
    subscriptions.pause(rt, operator, made["Paused since"])
    subscriptions.delete(rt, operator, made["Deleted since"])
    with rt.db.write() as conn:
        for name, change in (("Edited away", {"pattern": "user.*"}), ("Edited to fit", {"condition": None})):
            where = tables.subscriptions.c.id == made[name]
            conn.execute(tables.subscriptions.update().where(where).values(updated_at=clock(), **change))
    assert _said(explain_event(rt, _event(rt, uid))) == {
        "Ran": ("run", "matched"),
        "Paused since": ("held", "matched; today it would be held, because it is paused"),
        "Edited away": ("skip", "matched then, would not match today"),
        "Deleted since": ("skip", "matched then, was deleted since"),
        "Edited to fit": ("run", "was changed since; today it would run"),
        "Made since": ("run", "did not exist yet; today it would run"),
    }


def test_what_an_edited_rule_said_then_is_told_from_the_audit_log(rt: Runtime, clock: Clock, operator: Actor) -> None:
    def draft(pattern: str, condition: Any) -> SubscriptionDraft:
        return SubscriptionDraft("Edited", pattern, condition, "log")

    edited = subscriptions.create(rt, operator, draft("order.*", BIG))
    clock.advance(hours=1)
    subscriptions.update(rt, operator, edited, draft("order.*", BIG | {"value": 900}))
    clock.advance(hours=1)
    uid = make_event(rt, type="order.paid", payload={"amount": 600})
    clock.advance(hours=1)
    subscriptions.update(rt, operator, edited, draft("*", BIG | {"value": 700}))
    clock.advance(hours=1)
    subscriptions.update(rt, operator, edited, draft("*", None))
    for only in (None, edited):
        found = explain_event(rt, _event(rt, uid), only)
        assert _said(found) == {
            "Edited": ("run", "was changed since (then: data.amount > 900 was 600); today it would run")
        }


def test_shadows_and_open_breakers_are_told(rt: Runtime) -> None:
    make_subscription(rt, name="Shadow", mode="shadow")
    broken = make_subscription(rt, name="Broken")
    with rt.db.write() as conn:
        conn.execute(tables.gates.insert(), {"subscription_id": broken, "breaker": "open"})
    outlooks = {one.rule.name: one.outlook for one in explain_draft(rt, _draft(rt)).verdicts}
    assert outlooks == {
        "Shadow": "would be recorded only, as its mode is shadow",
        "Broken": "would be held, because its circuit breaker is open",
    }


def test_deleted_subscription_can_be_asked_for(rt: Runtime, clock: Clock) -> None:
    gone = make_subscription(rt, deleted_at=clock() - timedelta(hours=1))
    found = explain_event(rt, _event(rt, make_event(rt)), gone)
    assert _said(found) == {"Everything": ("skip", "was deleted before this event")}


def test_newest_delivery_of_a_subscription_is_the_one_that_counts(rt: Runtime) -> None:
    uid, subscription = make_event(rt), make_subscription(rt)
    make_delivery(rt, uid, subscription, state="dead")
    replayed = make_delivery(rt, uid, subscription, state="succeeded", replay=1)
    for found in (explain_event(rt, _event(rt, uid)), explain_event(rt, _event(rt, uid), subscription)):
        happened = found.verdicts[0].happened
        assert happened is not None
        assert (happened.delivery_id, happened.state) == (replayed, "succeeded")


def test_only_so_many_subscriptions_are_asked_those_with_deliveries_first(
    sqlite_rt: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain, "CONSIDERED", 2)
    for name in "abc":
        make_subscription(sqlite_rt, name=name)
    uid, last = make_event(sqlite_rt), make_subscription(sqlite_rt, name="last")
    make_delivery(sqlite_rt, uid, last)
    found = explain_event(sqlite_rt, _event(sqlite_rt, uid))
    assert found.verdicts[0].rule.name == "last"
    assert (len(found.verdicts), found.total) == (2, 4)


def test_condition_that_is_not_understood_any_more_matches_nothing(sqlite_rt: Runtime) -> None:
    make_subscription(sqlite_rt, condition={"field": "nonsense", "op": "??"})
    (verdict,) = explain_draft(sqlite_rt, _draft(sqlite_rt)).verdicts
    assert verdict.would == "skip"
    assert verdict.failure is not None
    assert verdict.failure.message == "Its condition is not understood any more."
