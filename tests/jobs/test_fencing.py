"""A worker that lost its lease changes nothing. With the fence taken out, the same play must go wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, update

from tests.support.clock import Clock
from tests.support.factories import make_delivery, row_of, rows_of
from tests.support.work import claim_all, finish_all
from webapp.domain.outcomes import Done, Retry
from webapp.runtime import Runtime
from webapp.services import upkeep
from webapp.store import deliveries as store
from webapp.store import tables as t
from webapp.store.deliveries import Claimed


def frozen_worker(rt: Runtime, clock: Clock) -> tuple[list[Claimed], list[Claimed]]:
    """Worker 1 claims and freezes; its lease runs out; worker 2 claims the same delivery."""
    make_delivery(rt)
    first = claim_all(rt, "worker-1")
    clock.advance(seconds=11)
    assert upkeep.rescue(rt) == 1
    second = claim_all(rt, "worker-2", lane="isolated")
    assert [one.id for one in first] == [one.id for one in second]
    return first, second


def outcomes(rt: Runtime) -> list[tuple[int, str, str]]:
    return [(row.n, row.outcome, row.worker) for row in rows_of(rt, t.attempts)]


def test_late_outcome_is_dropped_while_another_worker_runs_the_delivery(rt: Runtime, clock: Clock) -> None:
    first, second = frozen_worker(rt, clock)
    assert finish_all(rt, first, Done(), "worker-1") == set()
    assert finish_all(rt, second, Done(), "worker-2") == {second[0].id}
    assert sorted(outcomes(rt)) == [(1, "crashed", "worker-1"), (2, "succeeded", "worker-2")]


def test_late_outcome_is_dropped_after_another_worker_has_finished(rt: Runtime, clock: Clock) -> None:
    first, second = frozen_worker(rt, clock)
    finish_all(rt, second, Done(), "worker-2")
    assert finish_all(rt, first, Retry(), "worker-1") == set()
    assert row_of(rt, t.deliveries, first[0].id).state == "succeeded"
    assert row_of(rt, t.events, first[0].event_uid).succeeded == 1


def test_same_worker_cannot_finish_an_older_attempt_of_its_own(rt: Runtime, clock: Clock) -> None:
    make_delivery(rt)
    first = claim_all(rt, "worker-1")
    clock.advance(seconds=11)
    upkeep.rescue(rt)
    claim_all(rt, "worker-1", lane="isolated")
    assert finish_all(rt, first, Done(), "worker-1") == set()


def test_lease_that_was_lost_cannot_be_renewed(rt: Runtime, clock: Clock) -> None:
    first, _ = frozen_worker(rt, clock)
    with rt.db.write() as conn:
        assert store.renew(conn, owner="worker-1", ids=[first[0].id], until=clock()) == {}


def test_renewed_lease_is_not_rescued(rt: Runtime, clock: Clock) -> None:
    make_delivery(rt)
    [claimed] = claim_all(rt)
    clock.advance(seconds=9)
    with rt.db.write() as conn:
        assert store.renew(conn, owner="worker-1", ids=[claimed.id], until=clock.advance(seconds=1)) == {
            claimed.id: False
        }
    assert upkeep.rescue(rt) == 0


def test_without_the_fence_the_late_outcome_would_win(
    rt: Runtime, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: if this passed with the fence gone, the tests above would prove nothing."""

    def unfenced(conn: Connection, rows: Sequence[Any], owner: str) -> list[Any]:
        for row in rows:
            changed = update(t.deliveries).where(t.deliveries.c.id == row.claimed.id, t.deliveries.c.state == "running")
            conn.execute(changed.values(state=str(row.settlement.state), lease_owner=None))
        return list(rows)

    first, second = frozen_worker(rt, clock)
    monkeypatch.setattr(store, "settle_rows", unfenced)
    with rt.db.write() as conn:  # the row that the rescue wrote would be a second, independent guard
        conn.execute(t.attempts.delete())
    assert finish_all(rt, first, Done(), "worker-1") == {first[0].id}
    monkeypatch.undo()
    assert finish_all(rt, second, Done(), "worker-2") == set(), "the rightful outcome is lost"
