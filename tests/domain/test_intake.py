"""What policies make of a new delivery before anything is asked of the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from webapp.domain.conditions import event_view
from webapp.domain.events import parse_event
from webapp.domain.intake import PLAIN, ask_of, columns_of, debounced_until, limit_key_of
from webapp.domain.policies import Policies
from webapp.domain.routing import Rule

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
VIEW = event_view(
    parse_event({"type": "order.paid", "payload": {"a": "x", "b": "y"}}, default_source="tests", now=NOW), NOW
)


def policies(**document: Any) -> Policies:
    return Policies.from_json(document)


def rule(mode: str = "live", **document: Any) -> Rule:
    return Rule("sub_1", "Rule", "*", None, "log", policies=policies(**document), mode=mode)


def test_a_rule_is_plain_without_policies_and_live() -> None:
    assert rule().is_plain
    assert not rule(priority="high").is_plain
    assert not rule(mode="shadow").is_plain


@pytest.mark.parametrize(
    ("document", "key"),
    [
        ({}, None),
        ({"ordering": {"key": "{data.a}"}}, None),
        ({"concurrency": {"limit": 3}}, ""),
        ({"concurrency": {"key": "{data.a}", "per_key": 1}}, "x"),
        ({"concurrency": {"limit": 3}, "throttle": {"limit": 1, "period": "1s", "key": "{data.b}"}}, "y"),
        ({"throttle": {"limit": 1, "period": "1s", "key": "{data.missing}"}}, ""),
        ({"debounce": {"period": "1s", "key": "{data.a}"}}, None),
    ],
)
def test_the_limit_key_is_of_the_first_policy_that_has_one(document: dict[str, Any], key: str | None) -> None:
    assert limit_key_of(policies(**document), VIEW) == key


def test_columns_have_all_keys_of_a_plain_delivery_and_a_shadow_has_ended() -> None:
    assert set(PLAIN) <= set(columns_of(rule(priority="low"), VIEW, NOW, NOW))
    shadow = columns_of(rule(mode="shadow", ordering={"key": "{data.a}"}), VIEW, NOW, NOW)
    assert (shadow["state"], shadow["reason"], shadow["gated"], shadow["finished_at"]) == (
        "skipped",
        "shadow",
        False,
        NOW,
    )


def test_nothing_is_asked_of_quotas_without_a_policy_that_needs_them() -> None:
    row = {"id": "dlv_1", "event_uid": "evt_1", "created_at": NOW}
    limited = rule(rate_limit={"limit": 1, "period": "1s", "key": "{data.a}"}, debounce={"period": "1s"})
    asked, scheduled = (ask_of(limited, VIEW, row, is_scheduled=value) for value in (False, True))
    assert asked is not None
    assert (asked.rate_limit, asked.dedupe, asked.debounce) == ("x", None, "")
    assert scheduled is not None
    assert (scheduled.rate_limit, scheduled.debounce) == ("x", None)
    assert ask_of(rule(priority="low"), VIEW, row, is_scheduled=False) is None


@pytest.mark.parametrize(("began_s_ago", "due_in_s"), [(0, 10), (20, 5), (25, 0), (40, 0)])
def test_a_debounced_delivery_waits_for_quiet_but_not_longer_than_it_may(began_s_ago: int, due_in_s: int) -> None:
    debounce = policies(debounce={"period": "10s", "max_wait": "25s"})
    due = debounced_until(debounce, NOW, NOW - timedelta(seconds=began_s_ago))
    assert due == NOW + timedelta(seconds=due_in_s)
