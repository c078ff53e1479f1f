"""Buckets hold what they say, and percentiles are off by 5 % at most."""

from __future__ import annotations

from collections import Counter
from math import ceil, inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.domain.histogram import LARGEST_S, LAST_BUCKET, SMALLEST_S, bucket_of, quantile, upper_bound

durations = st.floats(SMALLEST_S, LARGEST_S)


@given(durations)
def test_bucket_holds_the_duration_within_five_percent(seconds: float) -> None:
    bound = upper_bound(bucket_of(seconds))
    assert seconds <= bound <= seconds * 1.05 * (1 + 1e-12)


@given(durations, durations)
def test_buckets_are_in_the_order_of_the_durations(a: float, b: float) -> None:
    assert (bucket_of(a) <= bucket_of(b)) == (a <= b) or bucket_of(a) == bucket_of(b)


@pytest.mark.parametrize("bucket", range(LAST_BUCKET + 1))
def test_upper_bound_belongs_to_its_own_bucket(bucket: int) -> None:
    assert bucket_of(upper_bound(bucket)) == bucket


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0, 0), (-1, 0), (nan, 0), (SMALLEST_S, 0), (1e9, LAST_BUCKET), (inf, LAST_BUCKET)]
)
def test_bucket_is_the_first_or_the_last_when_out_of_range(seconds: float, bucket: int) -> None:
    assert bucket_of(seconds) == bucket


def test_bucket_numbers_do_not_move_because_they_are_stored() -> None:
    assert [bucket_of(s) for s in (0.001, 0.01, 0.1, 1, 10, 60, 3600)] == [48, 95, 142, 189, 236, 273, 357]
    assert LAST_BUCKET == 422
    assert upper_bound(LAST_BUCKET + 5) == LARGEST_S
    assert upper_bound(-1) == SMALLEST_S


def test_quantile_is_none_when_nothing_was_counted() -> None:
    assert quantile({}, 0.5) is None
    assert quantile({3: 0}, 0.5) is None


@given(st.lists(durations, min_size=1, max_size=60), st.floats(0, 1))
def test_quantile_is_at_most_five_percent_above_the_exact_one(values: list[float], q: float) -> None:
    exact = sorted(values)[max(1, ceil(q * len(values))) - 1]
    found = quantile(Counter(map(bucket_of, values)), q)
    assert found is not None
    assert exact <= found <= exact * 1.05 * (1 + 1e-12)
