"""An index that agrees with a naive scan, and that ten thousand rules do not slow down."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.domain import globs
from webapp.domain.conditions import parse_condition
from webapp.domain.errors import Refused
from webapp.domain.events import Event
from webapp.domain.globs import Glob
from webapp.domain.routing import RouteTable, Rule, parse_pattern, pattern_matches

NOW = datetime(2026, 11, 23, 13, 30, tzinfo=UTC)

types = st.lists(st.sampled_from(["a", "b", "ab", "order"]), min_size=1, max_size=4).map(".".join)
patterns = st.text(st.sampled_from("ab.*"), min_size=1, max_size=8) | types | types.map(lambda t: t + ".*")


def _rule(pattern: str, place: int = 0, **more: Any) -> Rule:
    return Rule(id=f"sub_{place}", name=f"rule {place}", pattern=pattern, condition=None, handler="log", **more)


def _naive(pattern: str, event_type: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), event_type) is not None


@given(st.lists(patterns, max_size=30), types)
def test_candidates_are_those_of_a_naive_scan_in_the_same_order(written: list[str], event_type: str) -> None:
    rules = [_rule(parse_pattern(pattern), place) for place, pattern in enumerate(written)]
    found = RouteTable(rules).candidates(event_type)
    assert found == [rule for rule in rules if _naive(rule.pattern, event_type)]


@given(st.text(st.sampled_from("ab?*\n.["), max_size=8), st.text(st.sampled_from("ab\n.["), max_size=12))
def test_glob_agrees_with_fnmatch(pattern: str, text: str) -> None:
    assert Glob(pattern).matches(text) == fnmatchcase(text, pattern.replace("[", "[[]"))


@pytest.mark.parametrize(
    ("pattern", "event_type", "fits"),
    [
        ("order.paid", "order.paid", True),
        ("order.paid", "order.paid.late", False),
        ("order.*", "order.paid", True),
        ("order.*", "order.paid.late", True),
        ("order.*", "order", False),
        ("order.*", "orders.paid", False),
        ("*.created", "user.account.created", True),
        ("*.created", "created", False),
        ("*", "anything.at.all", True),
        ("order.*.late", "order.paid.late", True),
        ("order.*.late", "order.late", False),
        ("*order*", "my.order.paid", True),
        ("a*a", "a", False),
        ("a.b", "a-b", False),
    ],
)
def test_pattern_fits_types_as_people_expect(pattern: str, event_type: str, fits: bool) -> None:
    assert pattern_matches(pattern, event_type) is fits
    assert bool(RouteTable([_rule(pattern)]).candidates(event_type)) is fits


@pytest.mark.parametrize("text", ["order.paid", "*", "a_b-c.*", "x" * 128])
def test_pattern_is_accepted_when_it_follows_the_grammar(text: str) -> None:
    assert parse_pattern(text) == text


def test_pattern_folds_runs_of_stars() -> None:
    assert parse_pattern("order.***.**") == "order.*.*"


@pytest.mark.parametrize("text", ["", "x" * 129, "Order.*", "a b", "a\n", "a?", "(a+)+$", "é", None, 5, ["*"]])
def test_pattern_is_refused_when_it_breaks_the_grammar(text: Any) -> None:
    with pytest.raises(Refused) as refused:
        parse_pattern(text)
    assert (refused.value.slug, refused.value.faults[0].pointer) == ("invalid-pattern", "/pattern")


def _count_globs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    compared: list[str] = []
    matches = globs.Glob.matches

    def counting(self: Glob, text: str) -> bool:
        compared.append(self.pattern)
        return matches(self, text)

    monkeypatch.setattr(globs.Glob, "matches", counting)
    return compared


def test_no_glob_is_compared_when_ten_thousand_rules_have_a_fixed_end(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = ("t{}.done", "shop{}.*", "*.done{}", "t{}.*.late")
    rules = [_rule(shapes[n % 4].format(n), n) for n in range(10_000)]
    table = RouteTable([*rules, _rule("*.paid", 10_000), _rule("order.*", 10_001)])
    compared = _count_globs(monkeypatch)
    assert [rule.id for rule in table.candidates("order.paid")] == ["sub_10000", "sub_10001"]
    assert compared == []


def test_few_globs_are_compared_when_the_fixed_end_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [_rule(f"t{n}.*.late", n) for n in range(10_000)]
    table = RouteTable([*rules, _rule("*late*", 10_000)])
    compared = _count_globs(monkeypatch)
    assert [rule.id for rule in table.candidates("t77.very.late")] == ["sub_77", "sub_10000"]
    assert len(compared) == 2


def test_route_gives_a_verdict_and_a_trace_for_every_candidate_and_none_for_others() -> None:
    cheap = parse_condition({"field": "data.amount", "op": "lt", "value": 10})
    rules = [
        Rule("1", "all", "*", None, "log"),
        Rule("2", "cheap", "order.*", cheap, "log", held=True),
        Rule("3", "other", "user.*", None, "log", lane="isolated"),
    ]
    considered = RouteTable(rules).route(Event(id="1", type="order.paid", payload={"amount": 50}), NOW)
    assert [(one.rule.id, one.matched) for one in considered] == [("1", True), ("2", False)]
    assert considered[0].trace is None
    assert considered[1].trace is not None
    assert considered[1].trace.clauses[0].text == "data.amount < 10 was 50"


def test_route_hands_the_present_to_conditions() -> None:
    recent = parse_condition({"field": "time", "op": "after", "value": "now-1h"})
    table = RouteTable([Rule("1", "recent", "*", recent, "log")])
    event = Event(id="1", type="a", payload={}, timestamp=NOW)
    assert table.route(event, NOW)[0].matched
    assert not table.route(event)[0].matched


def test_route_is_empty_when_nobody_subscribed() -> None:
    assert RouteTable([]).route(Event(id="1", type="a", payload={})) == []
