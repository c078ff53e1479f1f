"""What makes a batch: number, weight, age, and one key each."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.support.clock import NOON
from webapp.domain.gathering import MAX_BYTES, Collected, form, name_of
from webapp.domain.policies import Batch

POLICY = Batch(size=3, wait=timedelta(minutes=1))


def waiting(*ids: str, key: str = "", at: datetime = NOON, weight: int = 10) -> list[Collected]:
    return [Collected(id, key, at, weight) for id in ids]


def test_full_batches_go_and_the_rest_is_waited_for() -> None:
    formed = form(POLICY, waiting(*"abcdefg"), NOON)
    assert formed.batches == (("a", "b", "c"), ("d", "e", "f"))
    assert formed.next_at == NOON + POLICY.wait


def test_rest_goes_when_its_oldest_has_waited_enough() -> None:
    some = waiting("a", at=NOON - POLICY.wait) + waiting("b")
    assert form(POLICY, some, NOON).batches == (("a", "b"),)
    assert form(POLICY, some, NOON - timedelta(seconds=1)).batches == ()


def test_keys_are_not_mixed() -> None:
    formed = form(POLICY, waiting("a", "b", key="x") + waiting("c", "d", "e", key="y"), NOON)
    assert formed.batches == (("c", "d", "e"),)


def test_nobody_is_waited_for_when_it_must_go_at_once() -> None:
    assert form(POLICY, waiting("a"), NOON, at_once=True).batches == (("a",),)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((MAX_BYTES // 2, MAX_BYTES // 2), (("a", "b"),)),
        ((MAX_BYTES // 2, MAX_BYTES // 2 + 1), (("a",),)),
        ((MAX_BYTES * 3, 1), (("a",),)),
        ((1, MAX_BYTES), (("a",), ("b",))),
    ],
)
def test_weight_ends_a_batch(weights: tuple[int, ...], expected: tuple[tuple[str, ...], ...]) -> None:
    some = [Collected(id, "", NOON, weight) for id, weight in zip("ab", weights, strict=True)]
    assert form(POLICY, some, NOON).batches == expected


def test_name_is_that_of_the_deliveries_in_any_order() -> None:
    assert name_of(["a", "b"]) == name_of(["b", "a"])
    assert len({name_of(["a", "b"]), name_of(["a"]), name_of(["a", "b", "c"])}) == 3
