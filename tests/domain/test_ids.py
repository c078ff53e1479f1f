"""Ids sort by time as text, on every database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.domain.ids import LENGTH, IdMaker, first_id_at, made_at, make_id

moments = st.integers(0, 2**48 - 1)
noises = st.binary(min_size=16, max_size=16)
quintets = st.binary(min_size=12, max_size=12).map(lambda tail: bytes(4) + bytes(b & 31 for b in tail))


@given(moments, moments, noises, noises)
def test_id_sorts_by_time(a: int, b: int, noise_a: bytes, noise_b: bytes) -> None:
    if a < b:
        assert make_id("evt", a, noise_a) < make_id("evt", b, noise_b)


@given(moments, quintets, quintets)
def test_id_differs_when_the_noise_does(at: int, noise_a: bytes, noise_b: bytes) -> None:
    assert (make_id("evt", at, noise_a) == make_id("evt", at, noise_b)) == (noise_a == noise_b)


@given(moments, noises)
def test_first_id_bounds_all_ids_of_its_millisecond(at: int, noise: bytes) -> None:
    made = make_id("dlv", at, noise)
    assert first_id_at("dlv", at) <= made
    assert len(made) == len("dlv_") + LENGTH
    assert made.isascii()
    assert made == made.lower()


def test_first_id_starts_at_1970_when_the_time_lies_before() -> None:
    assert first_id_at("evt", -5) == first_id_at("evt", 0)


@given(st.integers(0, 2**42), noises)
def test_id_tells_when_it_was_made(at: int, noise: bytes) -> None:
    assert made_at(make_id("dlv", at, noise)) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)


@pytest.mark.parametrize("text", ["", "dlv_1", "dlv_" + "z" * 26, "dlv_" + "ü" * 26, "dlv_" + "v" * 26])
def test_what_is_no_id_was_made_at_no_time(text: str) -> None:
    assert made_at(text) is None


@given(moments, st.lists(noises, min_size=2, max_size=50))
def test_ids_of_one_millisecond_keep_the_order_in_which_they_were_made(at: int, dice: list[bytes]) -> None:
    maker = IdMaker()
    made = [maker.make("dlv", at, noise) for noise in dice]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {len(one) for one in made} == {len("dlv_") + LENGTH}
    assert first_id_at("dlv", at) <= made[0]


def test_id_of_a_later_millisecond_sorts_behind_a_full_one() -> None:
    maker = IdMaker()
    made = [maker.make("dlv", 7, b"\xff" * 16) for _ in range(2000)]
    assert max(made) < maker.make("dlv", 8, bytes(16))
