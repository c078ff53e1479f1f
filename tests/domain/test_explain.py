"""Verdicts on events: who is to blame, what would be done, and where today differs from then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.domain.conditions import event_view, parse_condition
from webapp.domain.events import Event
from webapp.domain.explain import Happened, Known, Verdict, blame, explain
from webapp.domain.policies import parse_policies
from webapp.domain.routing import Rule

AT = datetime(2026, 11, 23, 13, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
BIG: dict[str, Any] = {"field": "data.amount", "op": "gt", "value": 500}


def _event(**payload: Any) -> Event:
    return Event("1", "order.paid", payload, AT, "tests", received_at=AT)


def _known(
    pattern: str = "order.*", condition: Any = None, *, rule: dict[str, Any] | None = None, **more: Any
) -> Known:
    tree = None if condition is None else parse_condition(condition)
    made = Rule("sub_1", "One", pattern, tree, "log", **rule or {})
    return Known(made, **{"created_at": AT - HOUR, "updated_at": AT - HOUR} | more)


def _verdict(known: Known, *, delivered: bool = False, **payload: Any) -> Verdict:
    happened = {"sub_1": Happened("dlv_1", "succeeded")} if delivered else {}
    (verdict,) = explain(_event(**payload), [known], at=AT, delivered=happened)
    return verdict


def test_clause_that_failed_is_told_with_the_value_it_met() -> None:
    verdict = _verdict(_known(condition=BIG), amount=129.5)
    assert (verdict.fits, verdict.matched, verdict.would) == (True, False, "skip")
    assert verdict.failure is not None
    assert verdict.failure.message == "data.amount > 500 was 129.5"
    assert [clause.actual for clause in verdict.failure.clauses] == [129.5]


def test_pattern_that_does_not_fit_is_told() -> None:
    verdict = _verdict(_known("user.*"))
    assert (verdict.fits, verdict.matched, verdict.would, verdict.trace) == (False, False, "skip", None)
    assert verdict.failure is not None
    assert (verdict.failure.reason, verdict.failure.message) == (
        "pattern",
        "The pattern user.* does not fit order.paid.",
    )


@pytest.mark.parametrize(
    ("more", "would"),
    [({}, "run"), ({"rule": {"held": True}}, "held"), ({"rule": {"mode": "shadow"}}, "shadow"), ({"deleted_at": AT + HOUR}, "skip"),
     ({"is_broken": True}, "skip")],
)  # fmt: skip
def test_what_would_be_done_follows_from_the_state_of_the_subscription(more: dict[str, Any], would: str) -> None:
    verdict = _verdict(_known(**more))
    assert verdict.would == would
    assert (verdict.failure is None) == (would != "skip")


NOTES: list[tuple[dict[str, Any], bool, str]] = [
    ({}, True, "matched"),
    ({"rule": {"held": True}}, True, "matched; today it would be held, because it is paused"),
    ({"condition": BIG}, True, "matched then, would not match today"),
    ({"deleted_at": AT + HOUR}, True, "matched then, was deleted since"),
    ({"created_at": AT + HOUR}, False, "did not exist yet; today it would run"),
    (
        {"created_at": AT + HOUR, "rule": {"held": True}},
        False,
        "did not exist yet; today it would be held, because it is paused",
    ),
    ({"created_at": AT + HOUR, "condition": BIG}, False, "did not exist yet"),
    ({"updated_at": AT + HOUR}, False, "was changed since; today it would run"),
    ({"updated_at": AT + HOUR, "condition": BIG}, False, "was changed since"),
    ({"deleted_at": AT - HOUR}, False, "was deleted before this event"),
    ({"deleted_at": AT + HOUR}, False, "was deleted since"),
    ({"condition": BIG}, False, ""),
    ({}, False, "has no delivery of this event on record; today it would run"),
]


@pytest.mark.parametrize(("more", "delivered", "note"), NOTES)
def test_difference_between_then_and_today_is_told(more: dict[str, Any], delivered: bool, note: str) -> None:
    assert _verdict(_known(**more), delivered=delivered, amount=1).note == note


@pytest.mark.parametrize(
    ("pattern", "condition", "note"),
    [
        ("user.*", None, "was changed since (then: the pattern user.* did not fit); today it would run"),
        ("*", BIG, "was changed since (then: data.amount > 500 was 1); today it would run"),
        ("*", None, "was changed since; today it would run"),
    ],
)
def test_rule_that_was_edited_is_asked_as_it_was_then(pattern: str, condition: Any, note: str) -> None:
    earlier = _known(pattern, condition).rule
    assert _verdict(_known(updated_at=AT + HOUR, earlier=earlier), amount=1).note == note


def test_event_that_was_never_sent_has_no_past() -> None:
    (verdict,) = explain(_event(), [_known(created_at=AT + HOUR)], at=AT)
    assert (verdict.would, verdict.note, verdict.happened) == ("run", "", None)


LIMIT = {"rate_limit": {"limit": 1, "period": "1m"}}


@pytest.mark.parametrize(
    ("rule", "outlook"),
    [
        ({}, "would run"),
        ({"held": True, "why_held": "breaker"}, "would be held, because its circuit breaker is open"),
        ({"held": True, "why_held": "releasing"}, "would be held, until those before it are released"),
        ({"mode": "shadow"}, "would be recorded only, as its mode is shadow"),
        ({"policies": parse_policies(LIMIT)}, "would run, unless its rate limit skips it"),
    ],
)
def test_outlook_says_what_would_be_done(rule: dict[str, Any], outlook: str) -> None:
    (verdict,) = explain(_event(), [_known(rule=rule)], at=AT)
    assert verdict.outlook == outlook


def test_relative_times_are_those_of_when_the_event_came() -> None:
    recent = {"field": "time", "op": "after", "value": "now-1h"}
    assert _verdict(_known(condition=recent)).matched
    (later,) = explain(_event(), [_known(condition=recent)], at=AT + 2 * HOUR)
    assert not later.matched


def test_those_that_match_come_first() -> None:
    rules = [
        Known(Rule(f"sub_{n}", f"{n}", pattern, None, "log"), AT, AT) for n, pattern in enumerate(["user.*", "*", "x"])
    ]
    assert [one.rule.name for one in explain(_event(), rules, at=AT)] == ["1", "0", "2"]


# Blame

YES: dict[str, Any] = {"field": "type", "op": "eq", "value": "order.paid"}
NO: dict[str, Any] = {"field": "type", "op": "eq", "value": "stock.low"}


@pytest.mark.parametrize(
    ("tree", "pointers"),
    [
        ({"all": [YES, NO, NO]}, ["/all/1", "/all/2"]),
        ({"any": [NO, NO]}, ["/any/0", "/any/1"]),
        ({"all": [{"any": [NO, YES]}, NO]}, ["/all/1"]),  # the first group is content
        ({"not": YES}, ["/not"]),
        ({"not": {"any": [NO, YES]}}, ["/not/any/1"]),
        ({"not": {"not": NO}}, ["/not/not"]),
        ({"all": [{"not": {"all": [YES, NO]}}, {"not": YES}]}, ["/all/1/not"]),
    ],
)
def test_only_clauses_that_decided_are_to_blame(tree: dict[str, Any], pointers: list[str]) -> None:
    condition = parse_condition(tree)
    trace = condition.evaluate(event_view(_event()))
    assert not trace.verdict
    assert [clause.pointer for clause in blame(condition, trace)] == pointers


trees = st.recursive(
    st.sampled_from([YES, NO]),
    lambda inner: st.builds(lambda kind, parts: {kind: parts}, st.sampled_from(["all", "any"]), st.lists(inner, min_size=1, max_size=3))
    | st.builds(lambda part: {"not": part}, inner),
    max_leaves=8,
)  # fmt: skip


@given(trees)
def test_somebody_is_to_blame_exactly_when_the_verdict_is_no(tree: dict[str, Any]) -> None:
    condition = parse_condition(tree)
    trace = condition.evaluate(event_view(_event()))
    assert bool(blame(condition, trace)) == (not trace.verdict)
