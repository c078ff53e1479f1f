"""Whatever a handler does ends as a record that both databases take."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.handlers import Context, Discard, Done, Event, EventHandler, Permanent, Retry, Snooze
from jobs.runner import (
    MAX_MESSAGE_BYTES,
    MAX_RESULT_BYTES,
    MAX_STACK_BYTES,
    Ending,
    conclude,
    names_of,
    run_attempt,
    timed_out_ending,
    too_late_ending,
)
from tests.support.attempts import Notes, claimed
from tests.support.clock import NOON
from webapp.domain.ids import first_id_at
from webapp.domain.retry import RetryPolicy
from webapp.store.deliveries import Finished


def run(act: Any) -> Ending:
    """Run a handler whose ``process`` is ``act``."""

    class Acts(EventHandler):
        name = "t.acts"

        async def process(self, event: Event, ctx: Context) -> Any:
            return act()

    return asyncio.run(run_attempt(claimed(), Notes().context(), lambda _: Acts))


def record(ending: Ending, **fields: Any) -> Finished:
    return conclude(claimed(**fields), ending, NOON, NOON, 0.5)


def raiser(error: BaseException) -> Any:
    def act() -> None:
        raise error

    return act


@pytest.mark.parametrize(
    "error",
    [RuntimeError("x"), SystemExit(1), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError(), MemoryError()],
)
def test_anything_raised_becomes_a_retry(error: BaseException) -> None:
    ending = run(raiser(error))
    assert isinstance(ending.outcome, Retry)
    assert ending.error_type == type(error).__name__
    assert record(ending).settlement.state == "waiting"


def test_permanent_error_is_dead_at_once_with_its_stack() -> None:
    finished = record(run(raiser(Permanent("never"))))
    assert (finished.settlement.state, finished.settlement.reason) == ("dead", "permanent")
    assert (finished.error_type, finished.error_message) == ("Permanent", "never")
    assert "test_runner.py" in str(finished.stack)


def test_stack_shows_the_handlers_own_frames_only() -> None:
    stack = str(run(raiser(RuntimeError("secret"))).stack)
    assert "in act" in stack
    assert "jobs/runner.py" not in stack
    assert "jobs/handlers/base.py" not in stack
    assert "secret" not in stack.replace('RuntimeError("secret")', "")


def test_cause_is_shown_below() -> None:
    def act() -> None:
        try:
            {}["missing"]
        except KeyError as error:
            raise RuntimeError("outer") from error

    assert "caused by KeyError" in str(run(act).stack)


def test_deep_recursion_has_a_bounded_stack() -> None:
    def act() -> None:
        act()

    stack = run(act).stack
    assert stack is not None
    assert len(stack.encode()) <= MAX_STACK_BYTES


@pytest.mark.parametrize("text", ["x" * 10_000_000, "ü" * 1_000_000, "a\x00b", "\ud800"])
def test_error_text_is_bounded_and_clean(text: str) -> None:
    message = str(run(raiser(RuntimeError(text))).error_message)
    assert len(message.encode()) <= MAX_MESSAGE_BYTES
    assert "\x00" not in message


@pytest.mark.parametrize("value", [lambda: 1, object(), float("nan"), {1: {2, 3}, "k": b"\xff"}, {"a": object()}])
def test_result_that_is_no_json_is_replaced_by_a_note_and_the_work_counts(value: Any) -> None:
    finished = record(run(lambda: value))
    assert finished.settlement.state == "succeeded"
    json.loads(finished.result or "null")


def test_circular_result_is_replaced_by_a_note() -> None:
    value: list[Any] = []
    value.append(value)
    assert "not JSON" in json.loads(record(run(lambda: value)).result or "")["note"]


@pytest.mark.parametrize("value", ["x" * 5_000_000, "ü" * 200_000, "😀" * 100_000, "\x00" * 100_000])
def test_huge_result_is_cut_with_a_note(value: str) -> None:
    finished = record(run(lambda: value))
    assert finished.settlement.state == "succeeded"
    assert len((finished.result or "").encode()) <= MAX_RESULT_BYTES + 200
    assert "beginning" in json.loads(finished.result or "")


def test_result_with_lone_surrogate_can_be_stored() -> None:
    (record(run(lambda: "\ud800")).result or "").encode()


@pytest.mark.parametrize("outcome", [Retry(after=5), Retry(retry_after=5), Snooze(delay="1h"), Snooze(delay=None)])  # type: ignore[arg-type]
def test_outcome_with_a_wrong_delay_is_an_error_of_the_handler(outcome: Any) -> None:
    ending = run(lambda: outcome)
    assert ending.error_type == "TypeError"
    assert "timedelta" in str(ending.error_message)


def test_chosen_failures_carry_their_reason() -> None:
    assert record(run(lambda: Retry(reason="busy"))).error_message == "busy"
    assert record(run(lambda: Discard("no use"))).error_type == "Discard"


def test_missing_handler_is_retried_and_dies_as_no_handler() -> None:
    ending = asyncio.run(run_attempt(claimed("gone"), Notes().context(), lambda _: None))
    assert ending.error_type == "HandlerMissing"
    assert record(ending).settlement.state == "waiting"
    assert record(ending, tries_used=2).settlement.reason == "no_handler"


def test_time_out_is_recorded_as_such() -> None:
    finished = record(timed_out_ending(timedelta(seconds=2)))
    assert (finished.settlement.outcome, finished.error_message) == ("timed_out", "no result within 2 s")


def test_handler_that_is_not_async_is_an_error_of_the_handler() -> None:
    class Wrong(EventHandler):
        name = "t.wrong"

        def process(self, event: Event, ctx: Context) -> Any:  # type: ignore[override]
            return 1

    ending = asyncio.run(run_attempt(claimed(), Notes().context(), lambda _: Wrong))
    assert ending.error_type == "TypeError"


def test_dates_and_sets_in_results_are_kept() -> None:
    finished = record(run(lambda: {"at": datetime(2026, 1, 2, tzinfo=UTC), "tags": {"a"}}))
    assert json.loads(finished.result or "") == {"at": "2026-01-02T00:00:00+00:00", "tags": ["a"]}


def test_done_is_recorded_without_error() -> None:
    finished = record(Ending(Done({"n": 1})))
    assert (finished.error_type, finished.result, finished.settlement.outcome) == (None, '{"n":1}', "succeeded")


def test_status_that_is_no_number_is_an_error_of_the_handler() -> None:
    assert "int" in str(run(lambda: Retry(status="503")).error_message)  # type: ignore[arg-type]


class NoStock(LookupError):
    """An error of a shop."""


@pytest.mark.parametrize(
    ("barred", "state"),
    [("NoStock", "dead"), ("LookupError", "dead"), (f"{__name__}.NoStock", "dead"), ("KeyError", "waiting")],
)
def test_error_that_the_policy_never_retries_is_dead_at_once(barred: str, state: str) -> None:
    ending = run(raiser(NoStock("no tea left")))
    finished = record(ending, policy=RetryPolicy(never_retry=(barred,)))
    assert (finished.settlement.state, finished.error_type) == (state, "NoStock")
    note = f" (not tried again: the retry policy rules it out for {barred})" if state == "dead" else ""
    assert finished.error_message == "no tea left" + note


def test_time_out_has_the_names_of_its_class() -> None:
    finished = record(timed_out_ending(timedelta(seconds=2)), policy=RetryPolicy(never_retry=("OSError",)))
    assert (finished.settlement.reason, finished.settlement.outcome) == ("permanent", "timed_out")


def test_names_do_not_go_up_to_object() -> None:
    assert names_of(KeyError) == {
        *("KeyError", "LookupError", "Exception", "BaseException"),
        *("builtins.KeyError", "builtins.LookupError", "builtins.Exception", "builtins.BaseException"),
    }


def test_long_message_and_its_note_are_bounded() -> None:
    finished = record(run(raiser(NoStock("x" * 10_000))), policy=RetryPolicy(never_retry=("NoStock",)))
    assert len(str(finished.error_message).encode()) <= MAX_MESSAGE_BYTES
    assert str(finished.error_message).endswith("rules it out for NoStock)")


def made(days_ago: int) -> str:
    return first_id_at("dlv", int((NOON - timedelta(days=days_ago)).timestamp() * 1000))


def test_failure_of_an_old_delivery_is_its_last() -> None:
    policy = RetryPolicy(max_age_s=86400)
    ending = run(raiser(NoStock("no tea left")))
    assert record(ending, id=made(0), policy=policy).settlement.state == "waiting"
    finished = record(ending, id=made(1), policy=policy)
    assert (finished.settlement.state, finished.settlement.reason) == ("dead", "exhausted")
    assert finished.error_message == (
        "no tea left (not tried again: the retry policy starts no try later than 1d after the delivery was made)"
    )


def test_further_try_that_comes_too_late_is_not_started() -> None:
    late = claimed(id=made(2), tries_used=1, policy=RetryPolicy(max_age_s=86400))
    ending = too_late_ending(late, NOON)
    assert ending is not None
    finished = conclude(late, ending, NOON, NOON, 0.5)
    assert (finished.settlement.state, finished.settlement.reason) == ("dead", "exhausted")
    assert str(finished.error_message).startswith("the handler was not called (not tried again")


@pytest.mark.parametrize("fields", [{"tries_used": 0}, {"policy": RetryPolicy()}, {"id": made(1)}, {"id": "dlv_1"}])
def test_first_try_and_one_in_time_are_started(fields: dict[str, Any]) -> None:
    given = {"id": made(2), "tries_used": 1, "policy": RetryPolicy(max_age_s=86400)} | fields
    assert too_late_ending(claimed(**given), NOON) is None
