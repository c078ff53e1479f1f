"""Gauges by the minute: a short trouble is kept, and a window of long slots shows its worst."""

from __future__ import annotations

from datetime import timedelta

from tests.support.clock import Clock
from tests.support.factories import make_delivery
from webapp.runtime import Runtime
from webapp.services import gauges as service
from webapp.store.gauges import save_gauges
from webapp.store.stats import read_performance, window_of


def test_minute_keeps_the_longest_wait_and_the_fewest_workers(rt: Runtime, clock: Clock) -> None:
    with rt.db.write() as conn:
        for oldest, due, workers in ((500, 2, 3), (90_000, 7, 1), (0, 0, 4)):
            save_gauges(conn, clock(), {"oldest": oldest, "due": due, "workers": workers})
        save_gauges(conn, clock() - timedelta(minutes=1), {"oldest": 100, "due": 1, "workers": 2})
    with rt.db.read() as conn:
        hour, quarters = (read_performance(conn, window_of(name, clock())) for name in ("1h", "24h"))
    last, before, unseen = hour.slots[-1], hour.slots[-2], hour.slots[-3]
    assert (last.oldest_s, last.due, last.workers) == (90.0, 7, 1)
    assert (before.oldest_s, before.due, before.workers) == (0.1, 1, 2)
    assert (unseen.oldest_s, unseen.due, unseen.workers) == (None, None, None)
    assert [slot.workers for slot in quarters.slots if slot.workers is not None][-1] == 1
    assert hour.totals.accepted == 0


def test_beat_notes_what_is_due_and_who_is_there(rt: Runtime, clock: Clock) -> None:
    make_delivery(rt, state="pending")
    clock.advance(seconds=12)
    service.note(rt)
    with rt.db.read() as conn:
        last = read_performance(conn, window_of("1h", clock())).slots[-1]
    assert (last.due, last.workers) == (1, 0)
    assert last.oldest_s is not None
    assert last.oldest_s >= 12
