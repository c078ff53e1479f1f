"""Pointers and messages can always be sent back, whatever was sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.domain.errors import Fault
from webapp.domain.faults import MAX_FAULTS, SUGGESTED, pointer, refusal, shown, unknown_fields

anything = st.text(st.characters())


@given(st.lists(anything | st.integers(0, 99), max_size=4))
def test_pointer_and_message_can_be_encoded_whatever_the_parts(parts: list[str | int]) -> None:
    pointer(*parts).encode()
    for part in parts:
        assert len(shown(part)) <= 80
        shown(part).encode()


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((), ""),
        (("",), "/"),
        (("a/b", "m~n"), "/a~1b/m~0n"),
        (("~1",), "/~01"),
        (("x", 0), "/x/0"),
        (("é 🚀",), "/é 🚀"),
    ],
)
def test_pointer_follows_rfc_6901(parts: tuple[str | int, ...], expected: str) -> None:
    assert pointer(*parts) == expected


def test_shown_value_is_cut_and_printable() -> None:
    assert shown("x" * 500) == "x" * 79 + "…"
    assert shown("a\r\n\u202eb") == "a\ufffd\ufffd\ufffdb"
    assert shown({"a": [1, None]}) == '{"a": [1, null]}'
    assert shown(object()) == "a object"


def test_refusal_takes_the_slug_of_its_only_kind_and_cuts_the_list() -> None:
    fault = Fault("/x", "own", "Wrong.")
    assert refusal("general", "thing", [fault, fault], own_slugs={"own"}).slug == "own"
    assert refusal("general", "thing", [fault, Fault("/y", "other", "")], own_slugs={"own"}).slug == "general"
    many = refusal("general", "thing", [fault] * 50)
    assert (len(many.faults), many.detail) == (MAX_FAULTS, "50 things are wrong with the thing.")


def test_unknown_field_names_the_one_that_was_meant() -> None:
    known = ("name", "time_zone", "cron")
    [fault] = unknown_fields("A schedule", {"timezone": 1, "cron": 2}, known)
    assert fault == Fault("/timezone", "unknown-field", "A schedule has no field 'timezone'; you may mean 'time_zone'.")
    [far] = unknown_fields("A schedule", ["colour"], known, "/at")
    assert far == Fault("/at/colour", "unknown-field", "A schedule has no field 'colour'.")


def test_only_the_first_unknown_fields_are_compared() -> None:
    many = unknown_fields("A schedule", [f"cron{n}" for n in range(50)], ("cron",))
    assert ["you may mean" in one.message for one in many] == [True] * SUGGESTED + [False] * (50 - SUGGESTED)
    [long] = unknown_fields("A schedule", ["cron" * 1000], ("cron",))
    assert "you may mean" not in long.message
