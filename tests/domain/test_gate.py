"""The decision at the gate: limits of all and of each key, and windows of a throttle."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from tests.support.clock import NOON
from webapp.domain.gate import Load, Waiting, Window, decide, is_keyed, most_at_once, most_per_key
from webapp.domain.policies import Policies, parse_policies

SECOND = timedelta(seconds=1)


def policies(**document: Any) -> Policies:
    return parse_policies(document)


def waiting(*keys: str) -> list[Waiting]:
    return [Waiting(f"d{n}", key) for n, key in enumerate(keys)]


def test_limit_of_all_counts_what_is_under_way() -> None:
    asked = policies(concurrency={"limit": 3})
    assert decide(asked, waiting("", "", ""), Load(1), {}, NOON).admitted == ("d0", "d1")
    assert most_at_once(asked, Load(5)) == 0


def test_limit_of_a_key_lets_the_others_by() -> None:
    asked = policies(concurrency={"key": "{data.a}", "per_key": 1})
    decision = decide(asked, waiting("a", "a", "b", "c"), Load(1, {"c": 1}), {}, NOON)
    assert decision.admitted == ("d0", "d2")
    assert is_keyed(asked)
    assert most_per_key(asked) == 1


def test_both_limits_hold_together() -> None:
    asked = policies(concurrency={"limit": 3, "key": "{data.a}", "per_key": 2})
    assert decide(asked, waiting("a", "a", "a", "b", "b"), Load(), {}, NOON).admitted == ("d0", "d1", "d3")


def test_throttle_lets_its_limit_start_and_says_when_more_may() -> None:
    asked = policies(throttle={"limit": 2, "period": "10s"})
    decision = decide(asked, waiting("", "", ""), Load(), {}, NOON)
    assert decision.admitted == ("d0", "d1")
    assert decision.next_at == NOON + 10 * SECOND
    later = decide(asked, waiting("", "", ""), Load(), decision.windows, NOON + 9 * SECOND)
    assert (later.admitted, later.next_at) == ((), NOON + 10 * SECOND)
    assert len(decide(asked, waiting("", "", ""), Load(), decision.windows, NOON + 10 * SECOND).admitted) == 2


def test_throttle_has_a_burst_after_a_quiet_period_only() -> None:
    asked = policies(throttle={"limit": 2, "period": "10s", "burst": 3})
    first = decide(asked, waiting(*[""] * 9), Load(), {}, NOON)
    assert len(first.admitted) == 5
    second = decide(asked, waiting(*[""] * 9), Load(), first.windows, NOON + 10 * SECOND)
    assert len(second.admitted) == 2
    quiet = decide(asked, waiting(*[""] * 9), Load(), second.windows, NOON + 30 * SECOND)
    assert len(quiet.admitted) == 5


def test_throttle_of_a_key_counts_each_key_alone() -> None:
    asked = policies(throttle={"limit": 1, "period": "1m", "key": "{data.a}"})
    decision = decide(asked, waiting("a", "a", "b"), Load(), {"b": Window(NOON, 1)}, NOON)
    assert decision.admitted == ("d0",)
    assert set(decision.windows) == {"a"}


def test_throttle_of_all_counts_keys_of_the_concurrency_together() -> None:
    asked = policies(throttle={"limit": 2, "period": "1m"}, concurrency={"key": "{data.a}", "per_key": 1})
    assert decide(asked, waiting("a", "b", "c"), Load(), {}, NOON).admitted == ("d0", "d1")


def test_what_the_concurrency_refuses_is_not_counted_by_the_throttle() -> None:
    asked = policies(throttle={"limit": 5, "period": "1m"}, concurrency={"limit": 1})
    assert decide(asked, waiting("", "", ""), Load(), {}, NOON).windows[""].n == 1


def test_backlog_never_starts_more_than_the_limit_within_a_period_whenever_somebody_looks() -> None:
    asked, dice = policies(throttle={"limit": 4, "period": "10s"}), random.Random(7)
    windows: dict[str, Window] = {}
    now, starts = NOON, []
    for _ in range(400):
        now += timedelta(seconds=dice.choice((0.01, 0.4, 3, 11)))
        decision = decide(asked, waiting(*[""] * 20), Load(), windows, now)
        windows |= decision.windows
        starts += [now] * len(decision.admitted)
    assert len(starts) > 300
    assert all(late - early >= 10 * SECOND for early, late in zip(starts, starts[4:], strict=False))
