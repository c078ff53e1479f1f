"""A running handler prolongs its own deadline: in the loop, from threads, within bounds, and in a forked process."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from rq import Queue
from rq.utils import now

from jobs.context import TimeIsUp
from jobs.flights import LONGEST_S
from jobs.handlers import Context
from jobs.horselimit import HorseLimit
from jobs.rq_workers import SETTINGS, IsolatedWorker, OurJob, connect
from tests.support.air import Air
from tests.support.attempts import Notes
from tests.support.clock import NOON
from webapp.queue import ISOLATED_MARGIN_S, RUN_ISOLATED


@pytest.fixture
def air() -> Iterator[Air]:
    air = Air()
    yield air
    air.loop.stop()


def test_attempt_that_was_extended_outlives_its_first_deadline(air: Air) -> None:
    async def act(ctx: Context) -> None:
        ctx.extend(30)
        await asyncio.sleep(1.4)

    assert air.fly(act, timeout_s=1).finished.settlement.state == "succeeded"


def test_deadline_moves_for_the_handler_and_for_the_loop_and_from_a_thread(air: Air) -> None:
    async def act(ctx: Context) -> None:
        before = ctx.deadline
        answers = [ctx.extend(60), await asyncio.to_thread(ctx.extend, 30.5), ctx.extend(0)]
        assert answers == [before + timedelta(seconds=s) for s in (60, 90.5, 90.5)]
        assert ctx.deadline == answers[-1] == NOON + timedelta(seconds=120.5)
        [flight] = air.loop.flights.values()
        assert flight.limit == timedelta(seconds=120.5)
        assert 100 < flight.deadline - time.monotonic() <= 120.5

    finished = air.fly(act).finished
    assert finished.settlement.state == "succeeded", finished.error_message
    assert len(air.extended) == 3


def test_attempt_lasts_no_longer_than_an_hour_however_often_it_asks(air: Air) -> None:
    deadlines: list[datetime] = []

    async def act(ctx: Context) -> None:
        deadlines.extend(ctx.extend(s) for s in (3000, 3000, 10**12))

    air.fly(act)
    assert deadlines == [NOON + timedelta(seconds=s) for s in (3030, LONGEST_S, LONGEST_S)]


def test_time_out_names_the_limit_with_its_extension(air: Air) -> None:
    async def act(ctx: Context) -> None:
        ctx.extend(0.25)
        await asyncio.sleep(60)

    finished = air.fly(act, timeout_s=1).finished
    assert (finished.settlement.outcome, finished.error_message) == ("timed_out", "no result within 1.25 s")


def test_what_was_cut_off_is_not_brought_back(air: Air) -> None:
    said: list[str] = []

    async def act(ctx: Context) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            try:
                ctx.extend(30)
            except TimeIsUp as error:
                said.append(str(error))

    assert air.fly(act, timeout_s=0.1).finished.settlement.outcome == "timed_out"
    assert said == ["the time of this attempt is up"]


def test_attempt_that_has_ended_moves_no_deadline_not_even_of_the_next(air: Air) -> None:
    kept: list[Context] = []

    async def first(ctx: Context) -> None:
        kept.append(ctx)

    async def second(ctx: Context) -> None:
        with pytest.raises(TimeIsUp):
            kept[0].extend(30)
        [flight] = air.loop.flights.values()
        assert flight.limit == timedelta(seconds=30)

    air.fly(first)
    finished = air.fly(second).finished
    assert finished.settlement.state == "succeeded", finished.error_message


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_extend_refuses_what_is_no_number_of_seconds(seconds: float) -> None:
    with pytest.raises(ValueError, match="number of seconds"):
        Notes().context().extend(seconds)


def test_closed_context_is_not_extended() -> None:
    context = Notes().context()
    context.close()
    with pytest.raises(TimeIsUp):
        context.extend(1)


def in_a_child(act: Callable[[], object]) -> None:
    """Run ``act`` in a forked child, as a horse runs."""
    pid = os.fork()
    if pid == 0:
        try:
            act()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


def test_parent_of_a_horse_learns_of_the_new_limit_and_the_alarm_of_the_horse_moves() -> None:
    limit = HorseLimit()

    def move() -> None:
        limit.move(time.monotonic() + 100)
        assert 100 <= signal.alarm(0) <= 101 + ISOLATED_MARGIN_S

    assert limit.seconds() == 0
    in_a_child(move)
    assert 100 + ISOLATED_MARGIN_S <= limit.seconds() <= 110 + ISOLATED_MARGIN_S
    limit.reset()
    assert limit.seconds() == 0


def test_rq_waits_for_a_horse_whose_handler_extended_its_deadline(redis_url: str) -> None:
    connection = connect(redis_url)
    worker = IsolatedWorker(["signalbox-isolated"], connection=connection, **SETTINGS)
    worker.horse_limit = HorseLimit()
    waiting = Queue("signalbox-isolated", connection=connection, serializer="json", job_class=OurJob)
    job = waiting.enqueue(RUN_ISOLATED, "isolated", job_timeout=16)
    worker.bootstrap()
    job.started_at = now()
    execution = worker.prepare_execution(job)
    worker.maintain_heartbeats(job, execution)
    assert job.timeout == 16
    in_a_child(lambda: worker.horse_limit.move(time.monotonic() + 300))
    worker.maintain_heartbeats(job, execution)
    assert job.timeout == worker.horse_limit.seconds() >= 300 + ISOLATED_MARGIN_S
    connection.close()
