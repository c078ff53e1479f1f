"""Cancelling what runs in a process of its own: asked first, killed when it does not heed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.workers import crew_of
from webapp.domain.access import Actor
from webapp.runtime import Runtime
from webapp.services import operate

pytestmark = pytest.mark.slow


def test_isolated_handler_stops_when_told_or_loses_its_process(
    live_sqlite_rt: Runtime, tmp_path: Path, operator: Actor
) -> None:
    with crew_of(live_sqlite_rt, tmp_path) as crew:
        ends = {"t.slow-alone": "cooperative", "t.blocks-alone": "killed"}
        for handler in ends:
            crew.subscribe(handler, timeout_ms=60_000)
        worker = crew.worker("--isolated")
        for handler, how in ends.items():
            sent = crew.send(handler, seconds=50)
            crew.wait_for(sent, "running")
            assert not operate.cancel(crew.rt, operator, sent.deliveries[0].id)
            row = crew.wait_for(sent, "cancelled", 20)
            assert (row.reason, row.cancel_requested_by, row.tries_used) == (how, "olga", 0)
            assert [attempt.outcome for attempt in crew.attempts(sent)] == ["cancelled"]
        assert worker.poll() is None
