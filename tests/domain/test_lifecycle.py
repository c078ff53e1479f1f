"""The table of transitions, all of it, and where outcomes lead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.domain.errors import Conflict
from webapp.domain.lifecycle import (
    DEAD_REASONS,
    FINAL,
    MAX_WAIT,
    OPEN,
    TRANSITIONS,
    IllegalTransition,
    State,
    Verb,
    advance,
    settle,
    sources_of,
)
from webapp.domain.outcomes import Discard, Done, Outcome, Retry, Skip, Snooze
from webapp.domain.retry import RetryPolicy

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
POLICY = RetryPolicy(max_attempts=3, base_s=10, factor=2, cap_s=100, jitter=False)

# Written a second time, by hand and by state, so that an edit of the table has to be meant.
ALLOWED = {
    "pending": {"claim": "running", "expire": "dead", "hold": "held", "cancel": "cancelled"},
    "waiting": {"claim": "running", "expire": "dead", "hold": "held", "cancel": "cancelled", "hasten": "pending"},
    "held": {"release": "pending", "expire": "dead", "cancel": "cancelled"},
    "running": {
        "succeed": "succeeded",
        "retry": "waiting",
        "snooze": "waiting",
        "rescue": "waiting",
        "interrupt": "pending",
        "discard": "dead",
        "exhaust": "dead",
        "orphan": "dead",
        "lose": "dead",
        "skip": "skipped",
        "cancel": "cancelled",
    },
    "dead": {"revive": "pending"},
    "succeeded": {},
    "cancelled": {},
    "skipped": {},
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("verb", Verb)
def test_advance_follows_the_table_for_every_state_and_verb(state: State, verb: Verb) -> None:
    expected = ALLOWED[state].get(verb)
    if expected is not None:
        assert advance(state, verb) is State(expected)
        return
    with pytest.raises(IllegalTransition) as refused:
        advance(state, verb)
    assert (refused.value.state, refused.value.verb) == (state, verb)
    assert isinstance(refused.value, Conflict)
    assert refused.value.status == 409


def test_advance_takes_the_words_that_sql_holds() -> None:
    assert advance("pending", "claim") == "running"


def test_states_are_open_or_final_and_never_both() -> None:
    assert set(State) == OPEN | FINAL
    assert not OPEN & FINAL
    assert {str(state) for state in FINAL} == {"succeeded", "dead", "cancelled", "skipped"}


def test_final_state_is_left_only_by_revive() -> None:
    assert {verb for state, verb in TRANSITIONS if state in FINAL} == {Verb.REVIVE}


def test_every_open_state_can_reach_success() -> None:
    reached = {State.SUCCEEDED}
    while more := {s for (s, _), to in TRANSITIONS.items() if to in reached} - reached:
        reached |= more
    assert reached >= OPEN


def test_sources_of_gives_the_guard_of_an_update() -> None:
    assert sources_of("claim") == {State.PENDING, State.WAITING}
    assert sources_of(Verb.REVIVE) == {State.DEAD}


@pytest.mark.parametrize(
    ("outcome", "state", "reason", "counts", "word"),
    [
        (Done({"a": 1}), "succeeded", None, True, "succeeded"),
        (Skip("not for us"), "skipped", None, True, "skipped"),
        (Discard("no such order"), "dead", "permanent", True, "discarded"),
        (Snooze(timedelta(minutes=5)), "waiting", None, False, "snoozed"),
        (Retry(), "waiting", None, True, "failed"),
    ],
)
def test_settle_leads_where_the_outcome_says(
    outcome: Outcome, state: str, reason: str | None, counts: bool, word: str
) -> None:
    result = settle(outcome, policy=POLICY, tries_used=0, now=NOW, roll=0.5)
    assert (result.state, result.reason, result.counts, result.outcome) == (state, reason, counts, word)
    assert (result.due_at is None) == (state != "waiting")


@pytest.mark.parametrize(("used", "seconds"), [(0, 10), (1, 20)])
def test_settle_waits_by_the_policy_when_tries_are_left(used: int, seconds: int) -> None:
    result = settle(Retry(), policy=POLICY, tries_used=used, now=NOW, roll=0.5)
    assert result.due_at == NOW + timedelta(seconds=seconds)


def test_settle_waits_as_asked_when_the_handler_says_when() -> None:
    result = settle(Retry(after=timedelta(seconds=77)), policy=POLICY, tries_used=1, now=NOW, roll=0.5)
    assert result.due_at == NOW + timedelta(seconds=77)
    at_once = settle(Retry(after=timedelta()), policy=POLICY, tries_used=1, now=NOW, roll=0.5)
    assert at_once.due_at == NOW


def test_settle_gives_up_when_the_last_try_failed() -> None:
    result = settle(Retry(after=timedelta(1)), policy=POLICY, tries_used=2, now=NOW, roll=0.5)
    assert (result.state, result.reason, result.due_at, result.outcome) == ("dead", "exhausted", None, "failed")


def test_settle_says_no_handler_when_the_last_try_found_none() -> None:
    early = settle(Retry(), policy=POLICY, tries_used=0, now=NOW, roll=0.5, missing=True)
    late = settle(Retry(), policy=POLICY, tries_used=2, now=NOW, roll=0.5, missing=True)
    assert (early.state, late.state, late.reason) == ("waiting", "dead", "no_handler")


def test_settle_says_timed_out_when_the_deadline_passed() -> None:
    assert settle(Retry(), policy=POLICY, tries_used=0, now=NOW, roll=0.5, timed_out=True).outcome == "timed_out"
    last = settle(Retry(), policy=POLICY, tries_used=2, now=NOW, roll=0.5, timed_out=True)
    assert (last.outcome, last.reason) == ("timed_out", "exhausted")


def test_settle_never_uses_up_a_try_when_snoozed() -> None:
    result = settle(Snooze(timedelta(seconds=3)), policy=POLICY, tries_used=99, now=NOW, roll=0.5)
    assert (result.state, result.counts) == ("waiting", False)


@given(st.timedeltas())
def test_settle_keeps_the_wait_within_thirty_days_whatever_a_handler_asks(wait: timedelta) -> None:
    for outcome in (Snooze(wait), Retry(after=wait)):
        result = settle(outcome, policy=POLICY, tries_used=0, now=NOW, roll=0.5)
        assert result.due_at is not None
        assert NOW <= result.due_at <= NOW + MAX_WAIT


@given(
    st.sampled_from([Done(), Retry(), Discard(), Snooze(timedelta(1)), Skip()]),
    st.integers(0, 200),
    st.floats(0, 1, exclude_max=True),
    st.booleans(),
    st.booleans(),
)
def test_settlement_has_a_reason_when_dead_and_a_time_when_waiting(
    outcome: Outcome, used: int, roll: float, timed_out: bool, missing: bool
) -> None:
    result = settle(outcome, policy=POLICY, tries_used=used, now=NOW, roll=roll, timed_out=timed_out, missing=missing)
    assert (result.reason in DEAD_REASONS) == (result.state == "dead")
    assert (result.due_at is not None) == (result.state == "waiting")
