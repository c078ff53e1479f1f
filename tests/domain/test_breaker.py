"""The breaker's states and their ways, and how much a release lets go."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.clock import NOON
from webapp.domain.breaker import (
    BreakerState,
    Standing,
    Tries,
    Verdict,
    allowance,
    has_failed_too_long,
    judge,
    open_at,
    probe_at,
    restarted,
    trips,
)
from webapp.domain.flow import Hold, hold_of, hold_of_new
from webapp.domain.policies import Breaker

POLICY = Breaker(0.5, 10, timedelta(minutes=1), timedelta(seconds=30), timedelta(hours=1))
OPEN = open_at(POLICY, NOON)


@pytest.mark.parametrize(
    ("succeeded", "failed", "opens"),
    [(5, 5, True), (6, 5, False), (0, 9, False), (0, 10, True), (0, 0, False), (1, 99, True)],
)
def test_breaker_trips_at_its_rate_and_not_before_enough_tries(succeeded: int, failed: int, opens: bool) -> None:
    assert trips(POLICY, Tries(succeeded, failed)) is opens


def test_breaker_without_a_single_failure_never_trips() -> None:
    assert not trips(Breaker(failure_rate=0.0001, min_tries=1), Tries(10, 0))


def test_open_breaker_probes_when_its_time_has_come_and_only_then() -> None:
    assert (OPEN.state, OPEN.opened_at, OPEN.probe_at) == (BreakerState.OPEN, NOON, NOON + POLICY.open_for)
    assert probe_at(OPEN, NOON + timedelta(seconds=29)) is None
    later = NOON + POLICY.open_for
    assert probe_at(OPEN, later) == Standing(BreakerState.HALF_OPEN, NOON, later)
    assert probe_at(Standing(), later) is None
    assert probe_at(Standing(BreakerState.HALF_OPEN, NOON, NOON), later) is None


@pytest.mark.parametrize(
    ("verdict", "after"),
    [
        (Verdict.SUCCEEDED, Standing()),
        (Verdict.FAILED, Standing(BreakerState.OPEN, NOON, NOON + timedelta(minutes=1, seconds=30))),
        (Verdict.UNCLEAR, Standing(BreakerState.OPEN, NOON, NOON + timedelta(minutes=1))),
    ],
)
def test_probe_closes_or_opens_again_and_the_first_opening_is_remembered(verdict: Verdict, after: Standing) -> None:
    half_open = Standing(BreakerState.HALF_OPEN, NOON, NOON)
    assert judge(half_open, verdict, POLICY, NOON + timedelta(minutes=1)) == after


def test_failing_too_long_is_counted_from_the_first_opening() -> None:
    again = judge(OPEN, Verdict.FAILED, POLICY, NOON + timedelta(minutes=59))
    assert not has_failed_too_long(again, POLICY, NOON + timedelta(minutes=59))
    assert has_failed_too_long(again, POLICY, NOON + timedelta(minutes=60))
    assert not has_failed_too_long(Standing(), POLICY, NOON + timedelta(days=9))
    assert not has_failed_too_long(again, Breaker(), NOON + timedelta(days=9))


def test_restart_probes_at_once_and_begins_to_count_anew() -> None:
    later = NOON + timedelta(hours=2)
    assert restarted(OPEN, later) == Standing(BreakerState.OPEN, later, later)
    assert restarted(Standing(), later) == Standing()


def test_tries_before_the_base_are_not_counted() -> None:
    assert Tries(10, 5).minus(Tries(4, 5)) == Tries(6, 0)
    assert (Tries(3, 1).failure_rate, Tries().failure_rate) == (0.25, 0)


def test_allowance_keeps_fractions_and_does_not_make_up_for_a_long_sleep() -> None:
    due, until = allowance(10, NOON, NOON + timedelta(seconds=1.27), 500)
    assert (due, until) == (12, NOON + timedelta(seconds=1.2))
    assert allowance(0.5, NOON, NOON + timedelta(seconds=1.9), 500) == (0, NOON)
    assert allowance(0.5, NOON, NOON + timedelta(seconds=2), 500) == (1, NOON + timedelta(seconds=2))
    late = NOON + timedelta(hours=1)
    assert allowance(10, NOON, late, 500) == (500, late)
    assert allowance(10, NOON, NOON - timedelta(seconds=5), 500) == (0, NOON)


def test_pause_comes_before_breaker_and_breaker_before_release() -> None:
    assert hold_of(is_paused=True, breaker_holds=True) is Hold.PAUSED
    assert hold_of(is_paused=False, breaker_holds=True) is Hold.BREAKER
    assert hold_of(is_paused=False, breaker_holds=False) is None
    flags = {"is_paused": False, "breaker_holds": False, "is_releasing": True}
    assert hold_of_new(**flags, is_ordered=True) is Hold.RELEASING
    assert hold_of_new(**flags, is_ordered=False) is None
    assert hold_of_new(is_paused=False, breaker_holds=True, is_releasing=True, is_ordered=True) is Hold.BREAKER
