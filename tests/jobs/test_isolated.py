"""A horse runs one delivery after the other, as long as its process is fit for the next."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import pytest

from jobs.horselimit import HorseLimit
from jobs.isolated import Horse, Plan
from jobs.registry import load_registry
from tests.support.factories import make_delivery, make_subscription, rows_of
from webapp.queue import RecordingDoorbell
from webapp.runtime import Runtime
from webapp.store import tables as t

PLUGIN = "tests.support.misbehaving"


@pytest.fixture
def limit() -> Iterator[HorseLimit]:
    yield HorseLimit()
    signal.alarm(0)  # the horse set it, for its own process


@pytest.fixture
def horse(rt: Runtime, limit: HorseLimit) -> Horse:
    plan = Plan(rt.settings, load_registry([PLUGIN]), "horse", parent_pid=0, limit=limit)
    return Horse(rt, plan)


@pytest.fixture
def due(rt: Runtime) -> Callable[..., None]:
    def make(handler: str, n: int = 1, timeout_ms: int = 30_000) -> None:
        subscription = make_subscription(rt, handler=handler, timeout_ms=timeout_ms)
        for _ in range(n):
            make_delivery(rt, subscription_id=subscription, handler=handler, lane="isolated")

    return make


def states(rt: Runtime) -> list[str]:
    return sorted(row.state for row in rows_of(rt, t.deliveries))


def test_horse_runs_all_that_is_due(rt: Runtime, horse: Horse, limit: HorseLimit, due: Callable[..., None]) -> None:
    due("t.ok", 3)
    due("t.raises")
    assert (horse.run(), limit.ended(), states(rt)) == (4, 4, [*["succeeded"] * 3, "waiting"])
    assert limit.seconds() > 0


def test_horse_that_ran_into_a_time_limit_takes_no_other(rt: Runtime, horse: Horse, due: Callable[..., None]) -> None:
    due("t.slow", timeout_ms=200)
    due("t.slow", timeout_ms=200)
    assert (horse.run(), states(rt)) == (1, ["pending", "waiting"])
    assert isinstance(rt.queue, RecordingDoorbell)
    assert "isolated" in rt.queue.rung, "another process goes on"


def test_horse_of_a_worker_that_stops_takes_no_other(
    rt: Runtime, horse: Horse, limit: HorseLimit, due: Callable[..., None]
) -> None:
    due("t.ok", 2)
    limit.close()
    assert (horse.run(), states(rt)) == (1, ["pending", "succeeded"])


def test_horse_with_nothing_to_do_ends(horse: Horse) -> None:
    assert horse.run() == 0
