"""The table of transitions, all of it, and where outcomes lead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

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
    Settlement,
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
    "pending": {
        "claim": "running",
        "expire": "dead",
        "hold": "held",
        "cancel": "cancelled",
        "supersede": "skipped",
    },
    "waiting": {"claim": "running", "expire": "dead", "hold": "held", "cancel": "cancelled", "hasten": "pending"},
    "held": {"release": "pending", "expire": "dead", "cancel": "cancelled", "supersede": "skipped"},
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
        "cancel": "running",
        "stop": "cancelled",
    },
    "dead": {"revive": "pending", "waive": "skipped"},
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


def test_final_state_is_left_only_by_a_person_who_revives_or_waives_a_dead_one() -> None:
    assert {one for one in TRANSITIONS if one[0] in FINAL} == {(State.DEAD, Verb.REVIVE), (State.DEAD, Verb.WAIVE)}


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


def failed(policy: RetryPolicy, retry: Retry | None = None, **given: Any) -> Settlement:
    arguments: dict[str, Any] = {"tries_used": 0, "now": NOW, "roll": 0.5} | given
    return settle(retry or Retry(), policy=policy, **arguments)


@pytest.mark.parametrize(
    ("age", "state"),
    [(timedelta(), "waiting"), (timedelta(seconds=90), "waiting"), (timedelta(seconds=91), "dead")],
)
def test_settle_starts_no_try_beyond_the_greatest_age(age: timedelta, state: str) -> None:
    policy = RetryPolicy(max_attempts=9, base_s=10, jitter=False, max_age_s=100)
    result = failed(policy, created_at=NOW - age)
    assert (result.state, result.outcome) == (state, "failed")
    if state == "dead":
        assert result.reason == "exhausted"
        assert (
            result.note
            == "not tried again: the retry policy starts no try later than 1m40s after the delivery was made"
        )


def test_settle_counts_the_wait_that_was_asked_for_into_the_age() -> None:
    policy = RetryPolicy(base_s=1, max_age_s=100)
    for retry in (Retry(timedelta(seconds=101)), Retry(retry_after=timedelta(seconds=101))):
        assert failed(policy, retry, created_at=NOW).reason == "exhausted"
        assert failed(policy, retry, created_at=None).state == "waiting", "an age that is not known limits nothing"


def test_settle_has_no_note_when_the_tries_are_used_up() -> None:
    result = failed(RetryPolicy(max_attempts=1, max_age_s=1), created_at=NOW - timedelta(days=1))
    assert (result.reason, result.note) == ("exhausted", "")


@pytest.mark.parametrize("timed_out", [False, True])
def test_settle_ends_what_the_policy_never_retries(timed_out: bool) -> None:
    result = failed(RetryPolicy(never_retry=("OSError",)), error_names={"TimeoutError", "OSError"}, timed_out=timed_out)
    assert (result.state, result.reason, result.counts) == ("dead", "permanent", True)
    assert result.outcome == ("timed_out" if timed_out else "failed")
    assert result.note == "not tried again: the retry policy rules it out for OSError"


def test_settle_ends_at_a_status_that_the_policy_never_retries() -> None:
    policy = RetryPolicy(never_retry_statuses=("4xx",))
    assert failed(policy, Retry(status=404)).reason == "permanent"
    assert failed(policy, Retry(status=503)).state == "waiting"
    assert failed(policy, Retry()).state == "waiting"


@pytest.mark.parametrize(
    ("asked", "cap", "seconds"),
    [(5, 86400, 10), (60, 86400, 60), (60, 30, 30), (60, 0, 10), (10**9, 86400, 86400), (-5, 86400, 10)],
)
def test_settle_waits_as_long_as_the_other_side_asks_up_to_the_cap(asked: int, cap: float, seconds: int) -> None:
    policy = RetryPolicy(base_s=10, jitter=False, retry_after_cap_s=cap)
    result = failed(policy, Retry(retry_after=timedelta(seconds=asked), status=429))
    assert result.due_at == NOW + timedelta(seconds=seconds)


def test_settle_does_not_cap_what_the_handler_itself_asks_for() -> None:
    policy = RetryPolicy(retry_after_cap_s=1)
    assert failed(policy, Retry(timedelta(days=2))).due_at == NOW + timedelta(days=2)
    snoozed = settle(Snooze(timedelta(days=2)), policy=policy, tries_used=0, now=NOW, roll=0.5)
    assert snoozed.due_at == NOW + timedelta(days=2)
