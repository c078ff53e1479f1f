"""A real worker dies in the middle of a batch: nothing is lost, and nothing is recorded twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from jobs.catalog import sync
from tests.support import lists
from tests.support.factories import row_of
from tests.support.workers import crew_of, marks
from webapp.runtime import Runtime
from webapp.store import tables as t

pytestmark = pytest.mark.slow


def test_batch_of_a_killed_worker_is_run_again_as_a_whole(live_sqlite_rt: Runtime, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    with crew_of(live_sqlite_rt, tmp_path) as crew:
        live_sqlite_rt.settings = replace(live_sqlite_rt.settings, handlers=lists.PLUGIN)
        sync(live_sqlite_rt)
        crew.subscribe("t.lists_deadly", policies={"batch": {"size": 3, "wait": "1s"}})
        look = crew.keep_up()
        crew.beat()
        crew.worker("--isolated")
        sent = [crew.send("t.lists_deadly", path=str(calls)) for _ in range(4)]
        for accepted in sent:
            crew.wait_for(accepted, "succeeded", look=look)
        outcomes = [[one.outcome for one in crew.attempts(accepted)] for accepted in sent]
        assert outcomes[:3] == [["crashed", "succeeded"]] * 3
        assert outcomes[3] == ["succeeded"]  # the beat flushed it: it waited for nobody
    first, *others = marks(calls)
    assert first.endswith(" 3")
    assert others.count(first) == 1  # the same call by the same name
    events = {row_of(live_sqlite_rt, t.events, accepted.uid).status for accepted in sent}
    assert events == {"succeeded"}
