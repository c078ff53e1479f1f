"""The tally of a backtest: it agrees with the router, compares two rules, and its chart stays small."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.domain.backtest import SAMPLES, SAVED, SLOTS, Tally, rule_to_test, step_in_words, step_of
from webapp.domain.conditions import parse_condition
from webapp.domain.events import Event
from webapp.domain.routing import RouteTable, Rule

AT = datetime(2026, 11, 23, 13, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def _rule(pattern: str, over: int | None = None, name: str = "draft") -> Rule:
    tree = None if over is None else parse_condition({"field": "data.amount", "op": "gt", "value": over})
    return rule_to_test(pattern, tree, name)


def _event(n: int, type: str = "order.paid", **payload: Any) -> Event:
    at = AT - n * MINUTE
    return Event(f"e-{n}", type, payload, at, "tests", uid=f"evt_{n}", received_at=at)


def _tally(draft: Rule, saved: Rule | None, events: list[Event]) -> Tally:
    tally = Tally.of(draft, saved)
    for event in events:
        tally.add(event)
    return tally


def test_tally_counts_what_the_draft_matches() -> None:
    events = [_event(0, amount=10), _event(1, amount=100), _event(2, "user.created", amount=100)]
    tally = _tally(_rule("order.*", 50), None, events)
    assert (tally.looked, tally.matched, dict(tally.counts)) == (3, 1, {"kept": 1})
    assert [one.uid for one in tally.samples["kept"]] == ["evt_1"]
    assert (tally.newest, tally.oldest) == (AT, AT - 2 * MINUTE)


def test_tally_tells_what_a_change_adds_and_removes() -> None:
    events = [_event(n, amount=amount) for n, amount in enumerate([40, 60, 90])]
    events.append(_event(3, "refund.paid", amount=90))
    tally = _tally(_rule("*", 80), _rule("order.*", 50, SAVED), events)
    assert dict(tally.counts) == {"kept": 1, "removed": 1, "added": 1}
    assert (tally.matched, tally.matched_before) == (2, 2)
    assert {change: [one.uid for one in found] for change, found in tally.samples.items()} == {
        "kept": ["evt_2"], "added": ["evt_3"], "removed": ["evt_1"],
    }  # fmt: skip


rules = st.builds(_rule, st.sampled_from(["*", "order.*", "*.paid", "user.created"]), st.none() | st.integers(0, 9))
events = st.lists(
    st.tuples(st.sampled_from(["order.paid", "user.created", "user.paid"]), st.integers(0, 9)), max_size=30
)


@given(rules, rules, events)
def test_tally_agrees_with_the_router(draft: Rule, saved: Rule, sent: list[tuple[str, int]]) -> None:
    came = [_event(n, type, amount=amount) for n, (type, amount) in enumerate(sent)]
    tally = _tally(draft, Rule(SAVED, SAVED, saved.pattern, saved.condition, ""), came)

    def routed(rule: Rule) -> set[str]:
        return {
            one.uid for one in came if any(found.matched for found in RouteTable([rule]).route(one, one.received_at))
        }

    new, old = routed(draft), routed(saved)
    assert (tally.matched, tally.matched_before) == (len(new), len(old))
    assert (tally.counts["added"], tally.counts["removed"]) == (len(new - old), len(old - new))
    drawn = [(slot.kept, slot.added, slot.removed) for slot in tally.slots()]
    assert [sum(part) for part in zip(*drawn, strict=True)] == (
        [len(new & old), len(new - old), len(old - new)] if came else []
    )


def test_relative_times_are_those_of_when_each_event_came() -> None:
    fresh = rule_to_test("*", parse_condition({"field": "time", "op": "after", "value": "now-1h"}))
    assert _tally(fresh, None, [_event(0), _event(10_000)]).matched == 2


def test_samples_are_bounded_and_the_newest() -> None:
    tally = _tally(_rule("*"), None, [_event(n) for n in range(SAMPLES + 3)])
    assert [one.uid for one in tally.samples["kept"]] == [f"evt_{n}" for n in range(SAMPLES)]


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(minutes=30), "per minute"),
        (timedelta(hours=5), "per 10 minutes"),
        (timedelta(hours=40), "per hour"),
        (timedelta(days=9), "per 6 hours"),
        (timedelta(days=40), "per day"),
        (timedelta(days=200), "per 7 days"),
    ],
)
def test_chart_takes_the_step_that_fits(span: timedelta, words: str) -> None:
    tally = _tally(_rule("*"), None, [_event(0), _event(span // MINUTE)])
    slots = tally.slots()
    assert step_in_words(slots) == words
    assert len(slots) <= SLOTS
    assert (slots[0].kept, slots[-1].kept, sum(slot.kept for slot in slots)) == (1, 1, 2)


@given(st.timedeltas(timedelta(0), timedelta(days=20_000)))
def test_chart_never_has_too_many_bars(span: timedelta) -> None:
    tally = _tally(_rule("x"), None, [_event(0), _event(span // MINUTE)])
    assert 1 <= len(tally.slots()) <= SLOTS
    assert step_of(AT - span, AT) >= MINUTE


def test_nothing_looked_at_draws_nothing() -> None:
    assert Tally.of(_rule("*")).slots() == ()
    assert step_in_words(()) == ""
