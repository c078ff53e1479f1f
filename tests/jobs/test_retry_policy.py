"""What a retry policy rules out ends a delivery for good, on both databases, with the reason on record."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobs.engine import Engine
from tests.jobs.test_engine import attempts_of, deliver, settled, started
from tests.support.clock import Clock
from webapp.runtime import Runtime


@pytest.fixture
def engine(rt: Runtime) -> Iterator[Engine]:
    engine = started(rt)
    yield engine
    engine.stop(0)


def test_error_that_is_never_retried_is_dead_with_tries_left(engine: Engine) -> None:
    delivery = deliver(engine.rt, "t.raises", retry={"max_attempts": 5, "never_retry": ["Exception"]})
    row = settled(engine, delivery)
    assert (row.state, row.reason, row.tries_used, row.error_type) == ("dead", "permanent", 1, "RuntimeError")
    assert row.error_message.endswith("(not tried again: the retry policy rules it out for Exception)")
    assert [attempt.outcome for attempt in attempts_of(engine.rt, delivery)] == ["failed"]


def test_delivery_is_dead_when_the_next_try_would_come_too_late(engine: Engine, clock: Clock) -> None:
    delivery = deliver(engine.rt, "t.raises", retry={"delays_s": [30, 30, 30], "max_age_s": 60})
    assert settled(engine, delivery).state == "waiting"
    clock.advance(seconds=40)
    row = settled(engine, delivery)
    assert (row.state, row.reason, row.attempt) == ("dead", "exhausted", 2)
    assert "starts no try later than 1m after the delivery was made" in row.error_message


def test_try_that_was_kept_waiting_too_long_is_not_started(engine: Engine, clock: Clock) -> None:
    delivery = deliver(engine.rt, "t.raises", retry={"delays_s": [0, 0], "max_age_s": 60})
    assert settled(engine, delivery).state == "waiting"
    clock.advance(seconds=61)
    row = settled(engine, delivery)
    assert (row.state, row.reason, row.error_type) == ("dead", "exhausted", "TriedTooLate")
    assert row.error_message.startswith("the handler was not called (not tried again:")


def test_first_try_is_started_however_late(engine: Engine, clock: Clock) -> None:
    delivery = deliver(engine.rt, "t.ok", retry={"max_attempts": 2, "max_age_s": 60})
    clock.advance(days=3)
    assert settled(engine, delivery).state == "succeeded"
