"""A cancelled handler is told, given a moment, and left behind if it does not heed; with the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from jobs import flights
from jobs.drain import claim
from jobs.engine import Engine
from tests.jobs.test_engine import deliver, started
from tests.support.factories import row_of, rows_of
from tests.support.servers import wait_until
from webapp.domain.access import Actor
from webapp.runtime import Runtime
from webapp.services import operate
from webapp.store import tables as t


@pytest.fixture
def engine(rt: Runtime, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setattr(flights, "STOP_GRACE_S", 0.3)
    engine = started(rt, concurrency=1)
    yield engine
    engine.stop(0)


def cancelled_while_it_runs(engine: Engine, operator: Actor, delivery: str) -> Any:
    """Start it, cancel it, let the keeper see that, and wait for the end."""
    engine.take(claim(engine, "default", 10))
    wait_until(lambda: engine.flights.flights, 5)
    assert not operate.cancel(engine.rt, operator, delivery)
    engine.keeper.beat()
    assert engine.flights.wait_until_empty(10)
    return row_of(engine.rt, t.deliveries, delivery)


def test_handler_that_heeds_ends_cooperatively(engine: Engine, operator: Actor) -> None:
    row = cancelled_while_it_runs(engine, operator, deliver(engine.rt, "t.heeds"))
    assert (row.state, row.reason, row.error_type, row.lease_owner) == ("cancelled", "cooperative", None, None)
    assert [line.text for line in rows_of(engine.rt, t.log_lines)] == ["told to stop: True"]
    assert [attempt.outcome for attempt in rows_of(engine.rt, t.attempts)] == ["cancelled"]


def test_handler_that_finishes_first_has_succeeded(engine: Engine, operator: Actor) -> None:
    row = cancelled_while_it_runs(engine, operator, deliver(engine.rt, "t.heeds", finish=True))
    assert (row.state, row.cancel_requested_by) == ("succeeded", "olga")


def test_handler_that_does_not_heed_is_left_behind(engine: Engine, operator: Actor) -> None:
    row = cancelled_while_it_runs(engine, operator, deliver(engine.rt, "t.stubborn"))
    assert (row.state, row.reason) == ("cancelled", "killed")
    assert not engine.flights.flights


def test_claimed_delivery_that_waits_for_a_slot_never_starts(engine: Engine, operator: Actor) -> None:
    both = {deliver(engine.rt, "t.heeds"), deliver(engine.rt, "t.heeds")}
    engine.take(claim(engine, "default", 10))
    wait_until(lambda: engine.flights.flights, 5)
    [runs] = list(engine.flights.flights)
    [waits] = both - {runs}
    operate.cancel(engine.rt, operator, waits)
    engine.keeper.beat()
    wait_until(lambda: row_of(engine.rt, t.deliveries, waits).state == "cancelled", 5)
    assert row_of(engine.rt, t.deliveries, waits).reason == "before_start"
    assert row_of(engine.rt, t.deliveries, runs).state == "running"
