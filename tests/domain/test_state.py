"""Changes of a handler's state: what they are based on, and what can be stored."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.clock import NOON
from webapp.domain.lifecycle import State
from webapp.domain.state import ABSENT, Change, StateChanged, Stored, apply, checked_key, checked_value, settle_changed

FOUR = Stored(4, 7)


@pytest.mark.parametrize(
    ("change", "stored", "after"),
    [
        (Change("k", "set", "x"), None, Stored("x", 99)),
        (Change("k", "set", "x"), FOUR, Stored("x", 8)),
        (Change("k", "set", "x", seen=7), FOUR, Stored("x", 8)),
        (Change("k", "set", "x", seen=ABSENT), None, Stored("x", 99)),
        (Change("k", "increment", 2), None, Stored(2, 99)),
        (Change("k", "increment", -1.5), FOUR, Stored(2.5, 8)),
        (Change("k", "delete"), FOUR, None),
        (Change("k", "delete", seen=7), FOUR, None),
        (Change("k", "delete"), None, None),
    ],
)
def test_change_is_applied(change: Change, stored: Stored | None, after: Stored | None) -> None:
    assert apply(change, stored, 99) == after


@pytest.mark.parametrize(
    ("change", "stored"),
    [
        (Change("k", "set", 1, seen=6), FOUR),
        (Change("k", "set", 1, seen=7), None),
        (Change("k", "set", 1, seen=ABSENT), FOUR),
        (Change("k", "delete", seen=6), FOUR),
    ],
)
def test_change_that_is_based_on_something_else_is_refused(change: Change, stored: Stored | None) -> None:
    with pytest.raises(StateChanged):
        apply(change, stored, 99)


@pytest.mark.parametrize("stored", ["text", True, [1], 2**53])
def test_only_numbers_are_incremented(stored: Any) -> None:
    with pytest.raises(ValueError, match="finite numbers"):
        apply(Change("k", "increment", 1), Stored(stored, 1), 99)


@pytest.mark.parametrize("key", ["", "x" * 201, "a\nb", None, 7, "\ud800"])
def test_key_that_cannot_be_is_refused(key: Any) -> None:
    with pytest.raises(ValueError, match="a key of the state"):
        checked_key(key)


@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}, "x" * 65_537, 2**70, "\ud800"])
def test_value_that_cannot_be_stored_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="a value of the state"):
        checked_value(value)


def test_value_is_a_plain_copy() -> None:
    given = {"a": (1, 2)}
    assert checked_value(given) == {"a": [1, 2]}


def test_collision_is_tried_again_soon_and_uses_up_no_try() -> None:
    settled = settle_changed(NOON, 1.0)
    assert (settled.state, settled.counts, settled.due_at) == (State.WAITING, False, NOON + timedelta(seconds=1))
