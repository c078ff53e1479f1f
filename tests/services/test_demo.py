"""The demo: it goes in by the ordinary door and leaves people's changes alone."""

from __future__ import annotations

from collections import Counter

from tests.support.factories import rows_of
from webapp.domain.access import SYSTEM
from webapp.runtime import Runtime
from webapp.services import demo, subscriptions
from webapp.store import tables as t


def test_demo_plays_half_a_minute_of_events(rt: Runtime) -> None:
    waited: list[float] = []
    played = demo.play(rt, sleep=waited.append)
    events = rows_of(rt, t.events)
    assert len(events) == played
    assert 25 < sum(waited) <= demo.LENGTH_S
    assert {"order.paid", "user.created", "deploy.started", "invoice.requested"} <= {row.type for row in events}
    assert Counter(row.status for row in events)["unrouted"] == 1
    assert len({row.correlation_id for row in events}) == 1


def test_demo_uses_every_rule_it_makes(rt: Runtime) -> None:
    demo.play(rt, sleep=lambda _: None)
    used = {row.subscription_id for row in rows_of(rt, t.deliveries)}
    assert used == {row.id for row in rows_of(rt, t.subscriptions)}


def test_subscriptions_are_made_once_and_kept_as_people_changed_them(rt: Runtime) -> None:
    assert len(demo.prepare(rt)) == len(demo.RULES)
    first = rows_of(rt, t.subscriptions)[0]
    subscriptions.pause(rt, SYSTEM, first.id)
    assert demo.prepare(rt) == []
    assert rows_of(rt, t.subscriptions)[0].paused_at is not None


def test_handlers_of_the_demo_exist_and_take_their_options() -> None:
    from jobs.registry import load_registry
    from webapp.domain.optionschema import check_options

    known = load_registry([]).entries
    for rule in demo.RULES:
        assert check_options(known[rule.handler].handler.options_schema, rule.options, "") == []
