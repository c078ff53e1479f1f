"""Processes die in mid-handler; every event still ends, and is recorded once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis

from tests.support.servers import wait_until
from tests.support.workers import Crew, crew_of, marks
from webapp.queue import RUN_ISOLATED, flag_of
from webapp.runtime import Runtime

pytestmark = pytest.mark.slow


@pytest.fixture
def crew(live_rt: Runtime, tmp_path: Path) -> Iterator[Crew]:
    with crew_of(live_rt, tmp_path) as crew:
        yield crew


def test_event_is_handled_once_by_a_worker_process(crew: Crew) -> None:
    crew.subscribe("t.ok")
    crew.worker()
    sent = [crew.send("t.ok") for _ in range(30)]
    for accepted in sent:
        crew.wait_for(accepted, "succeeded")
    assert [[a.outcome for a in crew.attempts(accepted)] for accepted in sent] == [["succeeded"]] * 30


def test_event_ends_within_fifteen_seconds_when_its_worker_is_killed(live_rt: Runtime, tmp_path: Path) -> None:
    defaults = {"lease_s": 10.0, "heartbeat_s": 3.0, "sweep_s": 1.0}
    with crew_of(live_rt, tmp_path, **defaults) as crew:
        crew.subscribe("t.slow")
        first = crew.worker()
        crew.beat()
        crew.worker("--isolated")
        effects = tmp_path / "effects"
        accepted = crew.send("t.slow", seconds=1, file=str(effects))
        wait_until(lambda: marks(effects), 10, "the handler has started")
        first.kill()
        crew.wait_for(accepted, "succeeded", 15)
        assert [a.outcome for a in crew.attempts(accepted)] == ["crashed", "succeeded"]
        assert [line.split()[0] for line in marks(effects)] == ["start", "start", "end"]


def test_other_deliveries_of_the_dead_worker_are_run_too(crew: Crew) -> None:
    crew.subscribe("t.slow")
    look = crew.keep_up()
    crew.beat()
    crew.worker("--isolated")
    sent = [crew.send("t.slow", seconds=1) for _ in range(3)]
    for accepted in sent:
        crew.wait_for(accepted, "running")
    for name in crew.names():
        if name.startswith("shared-"):
            os.kill(int(name.split("-")[-2]), signal.SIGKILL)
    for accepted in sent:
        crew.wait_for(accepted, "succeeded", 30, look)
        assert [a.outcome for a in crew.attempts(accepted)] == ["crashed", "succeeded"]


def test_poison_ends_as_lost_and_leaves_others_alone(crew: Crew) -> None:
    crew.subscribe("t.gone")
    crew.subscribe("t.ok")
    look = crew.keep_up()
    crew.beat()
    alone = crew.worker("--isolated")
    poison = crew.send("t.gone")
    crew.wait_for(poison, "waiting", 15, look)
    others = [crew.send("t.ok") for _ in range(10)]
    for accepted in others:
        crew.wait_for(accepted, "succeeded", 15, look)
    row = crew.wait_for(poison, "dead", 30, look)
    assert (row.reason, row.crashes) == ("lost", 3)
    assert [a.outcome for a in crew.attempts(poison)] == ["crashed"] * 3
    assert all([a.outcome for a in crew.attempts(accepted)] == ["succeeded"] for accepted in others)
    assert alone.poll() is None, "the forking worker survives its horses"


def test_delivery_that_crashed_once_succeeds_alone(crew: Crew) -> None:
    crew.subscribe("t.gone-once")
    look = crew.keep_up()
    crew.beat()
    crew.worker("--isolated")
    accepted = crew.send("t.gone-once")
    row = crew.wait_for(accepted, "succeeded", 15, look)
    assert (row.attempt, row.crashes, row.lane) == (2, 1, "isolated")


def test_quiet_exit_of_a_horse_is_a_crash(crew: Crew) -> None:
    crew.subscribe("t.leaves-quietly", timeout_ms=60_000)
    crew.worker("--isolated")
    crew.beat()
    accepted = crew.send("t.leaves-quietly")
    wait_until(lambda: crew.attempts(accepted), 10, "the first attempt is recorded")
    assert crew.attempts(accepted)[0].outcome == "crashed"


def test_horse_dies_with_its_parent(crew: Crew, tmp_path: Path) -> None:
    crew.subscribe("t.slow-alone")
    parent = crew.worker("--isolated")
    effects = tmp_path / "effects"
    accepted = crew.send("t.slow-alone", seconds=30, file=str(effects))
    wait_until(lambda: marks(effects), 10, "the handler has started")
    horse = int(marks(effects)[0].split()[2])
    parent.kill()
    parent.wait()
    wait_until(lambda: not psutil.pid_exists(horse) or psutil.Process(horse).status() == "zombie", 5, "the horse died")
    assert crew.delivery(accepted).state == "running"


def test_stopping_worker_gives_back_what_does_not_end(crew: Crew, tmp_path: Path) -> None:
    crew.subscribe("t.slow")
    worker = crew.worker()
    effects = tmp_path / "effects"
    accepted = crew.send("t.slow", seconds=30, file=str(effects))
    wait_until(lambda: marks(effects), 10, "the handler has started")
    worker.terminate()
    assert worker.wait(10) == 0
    row = crew.delivery(accepted)
    assert (row.state, row.tries_used, row.crashes) == ("pending", 0, 0)
    assert [a.outcome for a in crew.attempts(accepted)] == ["interrupted"]
    assert crew.names() == []


def test_stopping_worker_lets_quick_handlers_end(crew: Crew, tmp_path: Path) -> None:
    crew.subscribe("t.slow")
    worker = crew.worker()
    effects = tmp_path / "effects"
    accepted = crew.send("t.slow", seconds=0.5, file=str(effects))
    wait_until(lambda: marks(effects), 10, "the handler has started")
    worker.terminate()
    assert worker.wait(10) == 0
    assert crew.delivery(accepted).state == "succeeded"


def test_stopping_isolated_worker_gives_back_its_delivery(crew: Crew, tmp_path: Path) -> None:
    crew.subscribe("t.slow-alone")
    worker = crew.worker("--isolated")
    effects = tmp_path / "effects"
    accepted = crew.send("t.slow-alone", seconds=30, file=str(effects))
    wait_until(lambda: marks(effects), 10, "the handler has started")
    worker.terminate()
    assert worker.wait(10) == 0
    assert [a.outcome for a in crew.attempts(accepted)] == ["interrupted"]
    assert crew.delivery(accepted).state == "pending"


def test_worker_that_was_frozen_cannot_overwrite_what_happened_meanwhile(crew: Crew, tmp_path: Path) -> None:
    crew.subscribe("t.slow")
    frozen = crew.worker()
    crew.beat()
    effects = tmp_path / "effects"
    accepted = crew.send("t.slow", seconds=1, file=str(effects))
    wait_until(lambda: marks(effects), 10, "the handler has started")
    frozen.send_signal(signal.SIGSTOP)
    crew.worker("--isolated")
    crew.wait_for(accepted, "succeeded", 20)
    frozen.send_signal(signal.SIGCONT)
    sign = crew.send("t.slow", seconds=0)
    crew.worker()
    crew.wait_for(sign, "succeeded", 20)
    assert [a.outcome for a in crew.attempts(accepted)] == ["crashed", "succeeded"]
    assert crew.delivery(accepted).attempt == 2


def test_bell_with_nothing_due_costs_no_process(crew: Crew) -> None:
    from rq import Queue

    crew.subscribe("t.slow-alone")
    crew.worker("--isolated")
    crew.wait_for(crew.send("t.slow-alone", seconds=0), "succeeded")
    with redis.Redis.from_url(crew.rt.settings.redis_url) as client:
        queue = Queue("signalbox-isolated", connection=client, serializer="json")
        wait_until(lambda: client.ttl(rung := flag_of("isolated")) < 0 and not client.exists(rung), 10, "answered")
        queue.enqueue(RUN_ISOLATED, "isolated", result_ttl=0)
        wait_until(lambda: queue.is_empty() and not client.lrange(queue.intermediate_queue_key, 0, -1), 15, "dropped")
        wait_until(lambda: client.keys("rq:job:*") == [], 15, "nothing of it is left")


def test_poison_among_many_takes_nobody_with_it_and_costs_few_processes_not_one_each(
    crew: Crew, tmp_path: Path
) -> None:
    for handler in ("t.slow-once", "t.gone"):
        crew.subscribe(handler, timeout_ms=60_000)
    first = crew.worker()
    crew.beat()
    effects = tmp_path / "effects"
    sent = [crew.send("t.slow-once", file=str(effects)) for _ in range(20)]
    for accepted in sent:
        crew.wait_for(accepted, "running")
    poison = crew.send("t.gone")
    first.wait(10)
    crew.worker("--isolated")
    for accepted in sent:
        row = crew.wait_for(accepted, "succeeded", 15)
        assert (row.crashes, [a.outcome for a in crew.attempts(accepted)]) == (1, ["crashed", "succeeded"])
    wait_until(lambda: crew.delivery(poison).crashes == 2, 10, "the poison killed the process that it was alone in")
    assert len({line.split()[1] for line in marks(effects)}) <= 5, "leases that end apart may need one more each"


def test_isolated_delivery_passes_its_gate_without_the_beat(crew: Crew) -> None:
    crew.subscribe("t.slow-alone", policies={"concurrency": {"limit": 1}})
    crew.worker("--isolated")
    sent = [crew.send("t.slow-alone", seconds=0) for _ in range(3)]
    for accepted in sent:
        crew.wait_for(accepted, "succeeded")
