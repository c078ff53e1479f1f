"""Ordered deliveries with real workers that race: one after the other per key, and no beat is needed for it."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.factories import rows_of
from tests.support.workers import crew_of
from webapp.runtime import Runtime
from webapp.store import tables as t

pytestmark = pytest.mark.slow


def test_two_workers_keep_the_order_of_each_key(live_rt: Runtime, tmp_path: Path) -> None:
    with crew_of(live_rt, tmp_path) as crew:
        crew.subscribe("t.slow", policies={"ordering": {"key": "{data.customer}"}})
        crew.worker()
        crew.worker()
        sent = [crew.send("t.slow", seconds=0.01, file=str(tmp_path / "m"), customer=n % 3) for n in range(18)]
        for accepted in sent:
            crew.wait_for(accepted, "succeeded", 60)
    key_of = {row.id: row.order_key for row in rows_of(live_rt, t.deliveries)}
    assert set(key_of.values()) == {"0", "1", "2"}
    tries = defaultdict(list)
    for row in sorted(rows_of(live_rt, t.attempts), key=lambda row: row.delivery_id):
        tries[key_of[row.delivery_id]].append(row)
    for of_key in tries.values():
        assert len(of_key) == 6
        assert all(earlier.finished_at <= later.started_at for earlier, later in pairwise(of_key))
