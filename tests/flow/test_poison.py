"""Handlers that are poison, run by real workers: each delivery ends, what it left is fit to be kept, the worker lives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select

from tests.support.servers import wait_until
from tests.support.workers import Crew, crew_of, marks
from webapp.runtime import Runtime
from webapp.store import tables as t

pytestmark = pytest.mark.slow
ONE_TRY = {"retry": {"max_attempts": 1}, "timeout_ms": 20_000}
GOOD = ("nul", "object", "nan", "surrogate", "huge", "flood")


@pytest.fixture
def crew(live_sqlite_rt: Runtime, tmp_path: Path) -> Iterator[Crew]:
    with crew_of(live_sqlite_rt, tmp_path) as crew:
        yield crew


@pytest.fixture
def crew_on_both(live_rt: Runtime, tmp_path: Path) -> Iterator[Crew]:
    """The databases differ in what text they take."""
    with crew_of(live_rt, tmp_path) as crew:
        yield crew


def test_answers_that_cannot_be_kept_are_replaced_and_stop_nothing(crew_on_both: Crew) -> None:
    crew = crew_on_both
    crew.subscribe("t.answers", **ONE_TRY)
    crew.subscribe("t.ok")
    worker = crew.worker()
    sent = {what: crew.send("t.answers", what=what) for what in (*GOOD, "long error")}
    for what in GOOD:
        crew.wait_for(sent[what], "succeeded")
        [attempt] = crew.attempts(sent[what])
        json.loads(attempt.result or "null")
        assert len(attempt.result or "") <= 65_536
    assert "\\ud800" not in json.dumps(crew.attempts(sent["surrogate"])[0].result)
    dead = crew.wait_for(sent["long error"], "dead")
    assert (dead.error_type, len(dead.error_message) <= 2_000) == ("RuntimeError", True)
    crew.wait_for(crew.send("t.ok"), "succeeded")
    assert worker.poll() is None
    with crew.rt.db.read() as conn:
        assert 0 < conn.execute(select(func.count()).select_from(t.log_lines)).scalar_one() < 5_000, (
            "of a flood, a part"
        )


def test_crash_in_c_is_recorded_and_the_forking_worker_lives(crew: Crew) -> None:
    for handler in ("t.segfaults", "t.aborts"):
        crew.subscribe(handler, **ONE_TRY)
    crew.subscribe("t.slow-alone")
    worker = crew.worker("--isolated")
    crew.beat()
    for sent in [crew.send("t.segfaults"), crew.send("t.aborts")]:
        row = crew.wait_for(sent, "dead")
        assert (row.reason, row.error_type) == ("lost", "WorkerLost")
        assert [one.outcome for one in crew.attempts(sent)] == ["crashed"]
    crew.wait_for(crew.send("t.slow-alone", seconds=0), "succeeded")
    assert worker.poll() is None


def test_handler_that_takes_all_memory_ends_and_the_worker_lives(crew: Crew) -> None:
    crew.subscribe("t.hoards", **ONE_TRY)
    worker = crew.worker("--isolated")
    crew.beat()
    sent = crew.send("t.hoards")
    row = crew.wait_for(sent, "dead", 20)
    assert row.error_type in {"MemoryError", "WorkerLost"}
    assert worker.poll() is None


def test_process_that_a_handler_left_behind_is_ended(crew: Crew, tmp_path: Path) -> None:
    crew.subscribe("t.leaves-others", **ONE_TRY)
    worker = crew.worker("--isolated")
    sent = crew.send("t.leaves-others", file=str(tmp_path / "effects"))
    crew.wait_for(sent, "succeeded")
    child = int(marks(tmp_path / "effects")[0].split()[1])
    wait_until(lambda: not _alive(child), 10, "its child is gone")
    assert worker.poll() is None


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
