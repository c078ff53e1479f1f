"""Policies: what is written is read back equal, and every fault is named with its place."""

from __future__ import annotations

from typing import Any

import pytest

from webapp.domain.errors import Refused
from webapp.domain.policies import Breaker, Policies, parse_policies

EVERYTHING: dict[str, Any] = {
    "priority": "high",
    "expires": "1h",
    "ordering": {"key": "{data.customer_id}", "on_dead": "continue"},
    "concurrency": {"limit": 5, "key": "{label.region}", "per_key": 1},
    "throttle": {"limit": 10, "period": "1m", "burst": 5},
    "rate_limit": {"limit": 100, "period": "1h", "key": "{source}"},
    "dedupe": {"key": "{data.order}/{type}", "window": "1d"},
    "breaker": {"failure_rate": 0.25, "min_tries": 10, "window": "5m", "open_for": "1m", "disable_after": "1d"},
}


@pytest.mark.parametrize(
    "document",
    [
        {},
        EVERYTHING,
        {"debounce": {"period": "10s", "max_wait": "1m", "key": "{subject}"}},
        {"concurrency": {"limit": 3}},
        {"batch": {"size": 10, "wait": "30s", "key": "{data.customer_id}"}, "debounce": {"period": "1s"}},
    ],
)
def test_policies_are_read_back_as_they_were_written(document: dict[str, Any]) -> None:
    policies = parse_policies(document)
    assert policies.to_json() == document
    assert Policies.from_json(policies.to_json()) == policies


def test_what_is_left_out_or_null_is_off_or_as_always() -> None:
    assert parse_policies({"expires": None, "priority": None}) == Policies()
    assert Policies().to_json() == {}
    assert parse_policies({"breaker": {}}).breaker == Breaker()
    assert parse_policies({"batch": None}) == Policies()


@pytest.mark.parametrize(
    ("document", "gated"),
    [
        ({}, False),
        ({"rate_limit": {"limit": 1, "period": "1s"}}, False),
        ({"breaker": {}}, False),
        ({"ordering": {"key": "{id}"}}, True),
        ({"concurrency": {"limit": 1}}, True),
        ({"throttle": {"limit": 1, "period": "1s"}}, True),
        ({"batch": {"size": 2, "wait": "1s"}}, True),
    ],
)
def test_only_what_needs_one_decision_per_delivery_is_gated(document: dict[str, Any], gated: bool) -> None:
    assert parse_policies(document).gated is gated


@pytest.mark.parametrize(
    ("document", "places"),
    [
        ([], [""]),
        ("x", [""]),
        ({"oredring": {}}, ["/oredring"]),
        ({"priority": "urgent"}, ["/priority"]),
        (
            {
                "throttle": {"limit": 1, "period": "1s", "key": "{type}"},
                "concurrency": {"per_key": 2, "key": "{id}"},
            },
            [""],
        ),
        ({"priority": 0}, ["/priority"]),
        ({"expires": "soon"}, ["/expires"]),
        ({"expires": "0s"}, ["/expires"]),
        ({"expires": "1000d"}, ["/expires"]),
        ({"ordering": {}}, ["/ordering/key"]),
        ({"ordering": []}, ["/ordering"]),
        ({"ordering": {"key": "customer"}}, ["/ordering/key"]),
        ({"ordering": {"key": "{data}"}}, ["/ordering/key"]),
        ({"ordering": {"key": "{data.x"}}, ["/ordering/key"]),
        ({"ordering": {"key": 7}}, ["/ordering/key"]),
        ({"concurrency": {}}, ["/concurrency"]),
        ({"concurrency": {"limit": 0}}, ["/concurrency/limit"]),
        ({"concurrency": {"limit": True}}, ["/concurrency/limit"]),
        ({"concurrency": {"limit": 1, "key": "{id}"}}, ["/concurrency"]),
        ({"throttle": {"limit": 1}}, ["/throttle/period"]),
        ({"throttle": {}}, ["/throttle/limit", "/throttle/period"]),
        ({"rate_limit": {"limit": 1.5, "period": "1s"}}, ["/rate_limit/limit"]),
        ({"debounce": {"period": "1m", "max_wait": "1s"}}, ["/debounce/max_wait"]),
        ({"batch": {"size": 1, "wait": "1s"}}, ["/batch/size"]),
        ({"batch": {"size": 101, "wait": "2h"}}, ["/batch/size", "/batch/wait"]),
        ({"batch": {}}, ["/batch/size", "/batch/wait"]),
        ({"batch": {"size": 2, "wait": "1s"}, "ordering": {"key": "{id}"}}, ["/ordering"]),
        ({"batch": {"size": 2, "wait": "1s"}, "concurrency": {"limit": 2}}, ["/concurrency"]),
        ({"batch": {"size": 2, "wait": "1s"}, "throttle": {"limit": 2, "period": "1s"}}, ["/throttle"]),
        ({"batch": {"size": 2, "wait": "1m"}, "expires": "1m"}, ["/expires"]),
        ({"ordering": {"key": "{id}"}, "debounce": {"period": "1s"}}, ["/debounce"]),
        ({"dedupe": {"key": "{id}", "window": "1s", "what/now": 1}}, ["/dedupe/what~1now"]),
        ({"breaker": {"failure_rate": 0}}, ["/breaker/failure_rate"]),
        ({"breaker": {"failure_rate": float("nan")}}, ["/breaker/failure_rate"]),
        ({"breaker": {"window": "1s"}}, ["/breaker/window"]),
    ],
)
def test_faults_are_named_with_their_place(document: Any, places: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        parse_policies(document)
    assert refused.value.status == 422
    assert [fault.pointer for fault in refused.value.faults] == [f"/policies{place}" for place in places]
