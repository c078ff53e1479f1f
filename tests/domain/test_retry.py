"""Backoff stays within its bounds, policies survive storage, durations are read back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.domain.errors import Refused
from webapp.domain.retry import RetryPolicy, delay_for, format_duration, parse_duration, preview
from webapp.domain.retryschema import PRESETS

rolls = st.floats(0, 1, exclude_max=True)
policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 100),
    base_s=st.floats(0, 604_800),
    factor=st.floats(1, 10),
    cap_s=st.floats(0, 604_800),
    jitter=st.booleans(),
    max_age_s=st.none() | st.floats(1, 7_776_000),
    never_retry=st.lists(st.sampled_from(["ValueError", "shop.errors.NoStock"]), max_size=3).map(tuple),
    never_retry_statuses=st.lists(st.integers(100, 599) | st.sampled_from(["4xx", "5XX"]), max_size=3).map(tuple),
    retry_after_cap_s=st.floats(0, 604_800),
)


@given(policies, st.integers(1, 10_000), rolls)
def test_delay_lies_between_half_and_the_whole_of_the_capped_backoff(policy: RetryPolicy, n: int, roll: float) -> None:
    ceiling = min(policy.base_s * policy.factor ** min(n - 1, 64), policy.cap_s)
    delay = delay_for(n, policy, roll).total_seconds()
    least = ceiling * 0.5 if policy.jitter else ceiling
    assert least - 1e-6 <= delay <= ceiling + 1e-6


@given(policies, st.integers(1, 99))
def test_delay_never_shrinks_with_the_attempt_when_the_roll_is_the_same(policy: RetryPolicy, n: int) -> None:
    assert delay_for(n, policy, 0.5) <= delay_for(n + 1, policy, 0.5)


@pytest.mark.parametrize(("roll", "seconds"), [(0.0, 10), (0.5, 15), (0.999999, 20)])
def test_delay_follows_the_roll_when_jitter_is_on(roll: float, seconds: float) -> None:
    policy = RetryPolicy(base_s=5, factor=2, cap_s=3600)
    assert delay_for(3, policy, roll).total_seconds() == pytest.approx(seconds, abs=0.001)


def test_delay_is_as_listed_when_delays_are_given() -> None:
    policy = RetryPolicy(delays_s=(0, 5, 300))
    assert policy.max_attempts == 4
    assert [delay_for(n, policy, 0.3).total_seconds() for n in (1, 2, 3, 4)] == [0, 5, 300, 300]


def test_delay_is_zero_when_the_list_is_empty() -> None:
    policy = RetryPolicy(delays_s=())
    assert policy.max_attempts == 1
    assert delay_for(1, policy, 0.3) == timedelta()


def test_preview_lists_the_longest_wait_before_every_further_try() -> None:
    policy = RetryPolicy(max_attempts=4, base_s=5, factor=2, cap_s=12)
    assert [wait.total_seconds() for wait in preview(policy)] == [5, 10, 12]
    assert preview(RetryPolicy(max_attempts=1)) == []


@given(policies | st.lists(st.floats(0, 604_800), max_size=99).map(lambda d: RetryPolicy(delays_s=tuple(d))))
def test_policy_is_equal_when_read_back_from_its_json(policy: RetryPolicy) -> None:
    assert RetryPolicy.from_json(policy.to_json()) == policy


def test_policy_takes_the_defaults_when_the_document_is_empty() -> None:
    assert RetryPolicy.from_json({}) == RetryPolicy(8, 5, 2, 3600, True)


def test_policy_that_was_stored_before_the_limits_came_is_read_and_written_as_it_was() -> None:
    stored = {"max_attempts": 3, "base_s": 2, "factor": 2, "cap_s": 10, "jitter": False}
    policy = RetryPolicy.from_json(stored)
    assert (policy.max_age_s, policy.never_retry, policy.never_retry_statuses) == (None, (), ())
    assert policy.retry_after_cap_s == 86400
    assert policy.to_json() == stored
    assert RetryPolicy.from_json({"max_attempts": 2, "delays_s": [5]}).to_json() == {"max_attempts": 2, "delays_s": [5]}


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_written_out_and_known_again(name: str) -> None:
    policy = RetryPolicy.from_json({"preset": name, "max_age_s": 3600})
    assert policy.to_json() == {**PRESETS[name], "max_age_s": 3600}
    assert policy.preset == name


def test_presets_are_what_their_names_promise() -> None:
    spans = {name: sum(preview(RetryPolicy.from_json({"preset": name})), timedelta()) for name in PRESETS}
    assert spans["quick"] < timedelta(minutes=1) < spans["standard"] < timedelta(hours=1)
    assert timedelta(days=3) < spans["patient"] < timedelta(days=5)
    assert RetryPolicy.from_json({"preset": "standard"}) == RetryPolicy()
    assert RetryPolicy(max_attempts=9).preset is None


@pytest.mark.parametrize(
    ("names", "status", "barred"),
    [
        ({"KeyError", "LookupError", "Exception"}, None, "LookupError"),
        ({"shop.errors.NoStock", "NoStock"}, None, "shop.errors.NoStock"),
        ({"NoStock"}, None, None),
        (set(), 410, "HTTP status 410"),
        (set(), 503, "HTTP status 5xx"),
        (set(), 404, None),
        (set(), None, None),
    ],
)
def test_policy_says_what_bars_a_further_try(names: set[str], status: int | None, barred: str | None) -> None:
    policy = RetryPolicy(never_retry=("LookupError", "shop.errors.NoStock"), never_retry_statuses=(410, "5XX"))
    assert policy.barred_by(names, status) == barred


@pytest.mark.parametrize(
    ("document", "pointer", "code"),
    [
        ([], "/retry", "wrong-type"),
        ({"tries": 3}, "/retry/tries", "unknown-field"),
        ({"max_attempts": 0}, "/retry/max_attempts", "out-of-range"),
        ({"max_attempts": 101}, "/retry/max_attempts", "out-of-range"),
        ({"max_attempts": 2.5}, "/retry/max_attempts", "wrong-type"),
        ({"max_attempts": True}, "/retry/max_attempts", "wrong-type"),
        ({"base_s": -1}, "/retry/base_s", "out-of-range"),
        ({"base_s": "5"}, "/retry/base_s", "wrong-type"),
        ({"base_s": float("nan")}, "/retry/base_s", "out-of-range"),
        ({"factor": 0.5}, "/retry/factor", "out-of-range"),
        ({"factor": 11}, "/retry/factor", "out-of-range"),
        ({"cap_s": 604_801}, "/retry/cap_s", "out-of-range"),
        ({"jitter": "yes"}, "/retry/jitter", "wrong-type"),
        ({"delays_s": 5}, "/retry/delays_s", "wrong-type"),
        ({"delays_s": None}, "/retry/delays_s", "wrong-type"),
        ({"delays_s": [1, -1]}, "/retry/delays_s/1", "out-of-range"),
        ({"delays_s": [1, "a"]}, "/retry/delays_s/1", "wrong-type"),
        ({"delays_s": [1] * 100}, "/retry/delays_s", "too-long"),
        ({"delays_s": [1], "max_attempts": 5}, "/retry/max_attempts", "contradiction"),
        ({"delays_s": [1], "base_s": 5}, "/retry/base_s", "contradiction"),
        ({"preset": "eager"}, "/retry/preset", "unknown-choice"),
        ({"preset": []}, "/retry/preset", "unknown-choice"),
        ({"preset": "quick", "max_attempts": 2}, "/retry/max_attempts", "contradiction"),
        ({"preset": "quick", "delays_s": [1]}, "/retry/delays_s", "contradiction"),
        ({"max_age_s": 0}, "/retry/max_age_s", "out-of-range"),
        ({"max_age_s": 7_776_001}, "/retry/max_age_s", "out-of-range"),
        ({"max_age_s": None}, "/retry/max_age_s", "wrong-type"),
        ({"retry_after_cap_s": -1}, "/retry/retry_after_cap_s", "out-of-range"),
        ({"never_retry": "ValueError"}, "/retry/never_retry", "wrong-type"),
        ({"never_retry": ["ValueError", "a b"]}, "/retry/never_retry/1", "invalid-item"),
        ({"never_retry": [""]}, "/retry/never_retry/0", "invalid-item"),
        ({"never_retry": [7]}, "/retry/never_retry/0", "invalid-item"),
        ({"never_retry": ["x" * 201]}, "/retry/never_retry/0", "invalid-item"),
        ({"never_retry": ["E"] * 51}, "/retry/never_retry", "too-long"),
        ({"never_retry_statuses": {"410": 1}}, "/retry/never_retry_statuses", "wrong-type"),
        ({"never_retry_statuses": [600]}, "/retry/never_retry_statuses/0", "invalid-item"),
        ({"never_retry_statuses": [410, "6xx"]}, "/retry/never_retry_statuses/1", "invalid-item"),
        ({"never_retry_statuses": [True]}, "/retry/never_retry_statuses/0", "invalid-item"),
        ({"never_retry_statuses": ["410"]}, "/retry/never_retry_statuses/0", "invalid-item"),
    ],
)
def test_policy_is_refused_with_a_pointer_when_the_document_is_wrong(document: Any, pointer: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        RetryPolicy.from_json(document)
    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [(pointer, code)]


def test_policy_names_every_fault_when_several_are_wrong() -> None:
    with pytest.raises(Refused) as refused:
        RetryPolicy.from_json({"max_attempts": 0, "factor": 0, "x/y": 1}, prefix="/policy")
    pointers = {fault.pointer for fault in refused.value.faults}
    assert pointers == {"/policy/max_attempts", "/policy/factor", "/policy/x~1y"}


def test_policy_cannot_be_constructed_when_a_value_is_out_of_range() -> None:
    with pytest.raises(ValueError, match="max_attempts"):
        RetryPolicy(max_attempts=0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("1h30m", 5400), ("2d", 172_800), ("500ms", 0.5), ("1.5s", 1.5), ("1d2h3m4s5ms", 93_784.005)],
)
def test_duration_is_read_when_written_with_units(text: str, seconds: float) -> None:
    assert parse_duration(text).total_seconds() == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), (" 5m ", 300), (7, 7), (0.25, 0.25), ("0", 0)],
)
def test_duration_is_read_when_it_is_a_number_or_padded(text: str | float, seconds: float) -> None:
    assert parse_duration(text).total_seconds() == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    ["", "s", "-5s", "1m1h", "5 m", "1e3", "٣s", "5x", "9" * 40 + "s", -1, float("nan"), float("inf"), True, None, []],
)
def test_duration_is_refused_when_written_otherwise(text: Any) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@given(st.integers(0, 10**11))
def test_duration_is_equal_when_formatted_and_read_back(milliseconds: int) -> None:
    value = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(value)) == value
