"""Re-route: today's subscriptions, each once, unless asked otherwise; one transaction with its audit entry."""

from __future__ import annotations

import pytest

from tests.support.factories import make_delivery, make_event, make_subscription, row_of, rows_of
from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, Forbidden, NotFound
from webapp.runtime import Runtime
from webapp.services import subscriptions
from webapp.services.reroute import preview, reroute
from webapp.store import tables as t


def test_event_goes_to_those_that_match_now_and_have_not_had_it(rt: Runtime, operator: Actor) -> None:
    event = make_event(rt, type="order.paid")
    old = make_subscription(rt, name="Old", pattern="order.*")
    make_delivery(rt, event, old, state="succeeded")
    new = make_subscription(rt, name="New", pattern="order.paid")
    make_subscription(rt, name="Other", pattern="customer.*")
    found = {match.rule.id: match.had for match in preview(rt, event)}
    assert set(found) == {old, new}
    assert found[new] is None
    assert found[old] is not None
    done = reroute(rt, operator, event)
    [made] = done.deliveries
    row = row_of(rt, t.deliveries, made)
    assert (row.subscription_id, row.state, row.replay) == (new, "pending", 0)
    assert [match.rule.name for match in done.skipped] == ["Old"]
    stored = row_of(rt, t.events, event)
    assert (stored.total, stored.open, stored.status) == (2, 1, "processing")
    assert rt.queue.rung == ["default"]  # type: ignore[attr-defined]
    [entry] = rows_of(rt, t.audit)
    assert (entry.action, entry.details) == (
        "event.rerouted", {"deliveries": 1, "skipped": 1, "subscriptions": {new: "New"}},
    )  # fmt: skip
    assert reroute(rt, operator, event).deliveries == ()


def test_those_that_had_it_get_a_rerun_when_asked(rt: Runtime, operator: Actor) -> None:
    event, rule = make_event(rt), make_subscription(rt)
    first = make_delivery(rt, event, rule, state="dead")
    [made] = reroute(rt, operator, event, again=True).deliveries
    row = row_of(rt, t.deliveries, made)
    assert (row.replay, row.replay_of) == (1, first)
    assert row_of(rt, t.deliveries, first).state == "dead"


def test_paused_ones_hold_and_shadows_record(rt: Runtime, operator: Actor) -> None:
    event = make_event(rt)
    paused, shadow = make_subscription(rt), make_subscription(rt, mode="shadow")
    subscriptions.pause(rt, operator, paused, "maintenance")
    reroute(rt, operator, event)
    states = {row.subscription_id: (row.state, row.reason) for row in rows_of(rt, t.deliveries)}
    assert states == {paused: ("held", "paused"), shadow: ("skipped", "shadow")}
    assert row_of(rt, t.events, event).open == 1


def test_reroute_is_refused_where_it_makes_no_sense(rt: Runtime, operator: Actor, viewer: Actor) -> None:
    make_subscription(rt)
    with pytest.raises(Conflict):
        reroute(rt, operator, make_event(rt, problem="no schema"))
    with pytest.raises(NotFound):
        reroute(rt, operator, "evt_nothing")
    with pytest.raises(Forbidden):
        reroute(rt, viewer, make_event(rt))
    assert rows_of(rt, t.deliveries) == []
