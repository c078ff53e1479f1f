"""The decision at the gate: limits of all and of each key, and the bucket of a throttle."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from tests.support.clock import NOON
from webapp.domain.gate import Load, Waiting, decide, is_keyed, most_at_once, most_per_key
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


def test_throttle_lets_its_limit_start_at_once_and_then_one_after_the_other() -> None:
    asked = policies(throttle={"limit": 2, "period": "10s"})
    decision = decide(asked, waiting("", "", ""), Load(), {}, NOON)
    assert decision.admitted == ("d0", "d1")
    assert decision.next_at == NOON + 5 * SECOND
    early = decide(asked, waiting("", "", ""), Load(), decision.full_at, NOON + 4 * SECOND)
    assert (early.admitted, early.next_at) == ((), NOON + 5 * SECOND)
    later = decide(asked, waiting("", "", ""), Load(), decision.full_at, NOON + 5 * SECOND)
    assert (later.admitted, later.next_at) == (("d0",), NOON + 10 * SECOND)


def test_throttle_has_its_burst_again_after_a_quiet_time() -> None:
    asked = policies(throttle={"limit": 2, "period": "10s", "burst": 3})
    first = decide(asked, waiting(*[""] * 9), Load(), {}, NOON)
    assert len(first.admitted) == 5
    second = decide(asked, waiting(*[""] * 9), Load(), first.full_at, NOON + 10 * SECOND)
    assert len(second.admitted) == 2
    quiet = decide(asked, waiting(*[""] * 9), Load(), second.full_at, NOON + 35 * SECOND)
    assert len(quiet.admitted) == 5


def test_throttle_of_a_key_counts_each_key_alone() -> None:
    asked = policies(throttle={"limit": 1, "period": "1m", "key": "{data.a}"})
    decision = decide(asked, waiting("a", "a", "b"), Load(), {"b": NOON + 60 * SECOND}, NOON)
    assert decision.admitted == ("d0",)
    assert set(decision.full_at) == {"a"}


def test_throttle_of_all_counts_keys_of_the_concurrency_together() -> None:
    asked = policies(throttle={"limit": 2, "period": "1m"}, concurrency={"key": "{data.a}", "per_key": 1})
    assert decide(asked, waiting("a", "b", "c"), Load(), {}, NOON).admitted == ("d0", "d1")


def test_what_the_concurrency_refuses_is_not_counted_by_the_throttle() -> None:
    asked = policies(throttle={"limit": 5, "period": "1m"}, concurrency={"limit": 1})
    assert decide(asked, waiting("", "", ""), Load(), {}, NOON).full_at[""] == NOON + 12 * SECOND


def test_starts_keep_to_the_bucket_whenever_somebody_looks() -> None:
    asked, dice = policies(throttle={"limit": 4, "period": "10s", "burst": 1}), random.Random(7)
    full_at: dict[str, datetime] = {}
    now, starts = NOON, []
    for _ in range(400):
        now += timedelta(seconds=dice.choice((0.01, 0.4, 3, 11)))
        decision = decide(asked, waiting(*[""] * 20), Load(), full_at, now)
        full_at |= decision.full_at
        starts += [now] * len(decision.admitted)
    assert len(starts) > 300
    for n in (5, 6, 10, 50):  # so many further starts take that many tokens, of which five were there at most
        pairs = zip(starts, starts[n:], strict=False)
        assert all(late - early >= (n + 1 - 5) * 2.5 * SECOND for early, late in pairs)
