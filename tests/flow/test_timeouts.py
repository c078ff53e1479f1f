"""Time limits hold, however a handler defends itself; what runs beside it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import wait_until
from tests.support.workers import Crew, crew_of
from webapp.runtime import Runtime

pytestmark = pytest.mark.slow
ONE_TRY = {"retry": {"max_attempts": 1}, "timeout_ms": 1000}


@pytest.fixture
def crew(live_sqlite_rt: Runtime, tmp_path: Path) -> Iterator[Crew]:
    with crew_of(live_sqlite_rt, tmp_path) as crew:
        yield crew


@pytest.mark.parametrize("handler", ["t.slow", "t.stubborn"])
def test_handler_is_cut_off_and_others_go_on(crew: Crew, handler: str) -> None:
    crew.subscribe(handler, **ONE_TRY)
    crew.subscribe("t.ok")
    worker = crew.worker()
    late = crew.send(handler, seconds=20)
    crew.wait_for(late, "running")
    beside = crew.send("t.ok")
    crew.wait_for(beside, "succeeded")
    row = crew.wait_for(late, "dead", 10)
    assert (row.reason, row.error_type) == ("exhausted", "TimeoutError")
    assert [a.outcome for a in crew.attempts(late)] == ["timed_out"]
    crew.wait_for(crew.send("t.ok"), "succeeded")
    assert worker.poll() is None


def test_handler_that_blocks_the_loop_is_recorded_and_its_worker_restarts(crew: Crew) -> None:
    crew.subscribe("t.blocks", **ONE_TRY)
    crew.subscribe("t.slow", timeout_ms=60_000)
    worker = crew.worker()
    beside = crew.send("t.slow", seconds=15)
    crew.wait_for(beside, "running")
    blocking = crew.send("t.blocks")
    crew.wait_for(blocking, "dead", 10)
    assert worker.wait(10) == 70
    [attempt] = crew.attempts(blocking)
    assert attempt.outcome == "timed_out"
    assert "time.sleep" in attempt.stack
    assert [a.outcome for a in crew.attempts(beside)] == ["interrupted"]
    assert crew.delivery(beside).crashes == 0


@pytest.mark.parametrize("handler", ["t.stubborn-alone", "t.blocks-alone"])
def test_isolated_handler_that_swallows_everything_is_ended(crew: Crew, handler: str) -> None:
    crew.subscribe(handler, **ONE_TRY)
    crew.subscribe("t.slow-alone", timeout_ms=30_000)
    worker = crew.worker("--isolated")
    crew.beat()
    stuck = crew.send(handler)
    row = crew.wait_for(stuck, "dead", 15)
    assert (row.reason, row.error_type) == ("exhausted", "TimeoutError")
    crew.wait_for(crew.send("t.slow-alone", seconds=0.1), "succeeded")
    assert worker.poll() is None


@pytest.mark.parametrize("handler", ["t.holds", "t.backtracks"])
def test_isolated_handler_that_holds_the_interpreter_is_ended(crew: Crew, handler: str) -> None:
    crew.subscribe(handler, **ONE_TRY)
    crew.subscribe("t.slow-alone", timeout_ms=30_000)
    worker = crew.worker("--isolated")
    crew.beat()
    stuck = crew.send(handler)
    wait_until(lambda: crew.attempts(stuck), 15, f"the attempt is over:\n{crew.output()}")
    assert crew.attempts(stuck)[0].outcome == "crashed"
    assert worker.poll() is None


def test_isolated_handler_that_asked_for_more_time_is_not_ended_at_its_first_limit(crew: Crew) -> None:
    crew.subscribe("t.holds-extended", **ONE_TRY)
    crew.worker("--isolated")
    crew.beat()
    accepted = crew.send("t.holds-extended")
    crew.wait_for(accepted, "succeeded", 25)
    assert [a.outcome for a in crew.attempts(accepted)] == ["succeeded"]


def test_lease_is_kept_while_a_handler_takes_longer_than_it(crew: Crew) -> None:
    crew.subscribe("t.slow", timeout_ms=30_000)
    crew.subscribe("t.slow-alone", timeout_ms=30_000)
    crew.worker()
    crew.worker("--isolated")
    crew.beat()
    sent = [crew.send("t.slow", seconds=4), crew.send("t.slow-alone", seconds=4)]
    for accepted in sent:
        crew.wait_for(accepted, "succeeded", 15)
        assert len(crew.attempts(accepted)) == 1


def test_cancelled_delivery_is_stopped_and_stays_cancelled(crew: Crew, tmp_path: Path) -> None:
    from tests.support.workers import marks
    from webapp.domain.access import SYSTEM
    from webapp.services import operate

    crew.subscribe("t.slow", timeout_ms=60_000)
    crew.worker()
    effects = tmp_path / "effects"
    accepted = crew.send("t.slow", seconds=30, file=str(effects))
    wait_until(lambda: marks(effects), 10, "the handler has started")
    operate.cancel(crew.rt, SYSTEM, accepted.deliveries[0].id)
    assert crew.wait_for(accepted, "cancelled", 10).reason == "cooperative"
    assert len(marks(effects)) == 1
