"""Batches: collected by number, weight and age; run together, tried again together, whatever becomes of one of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from tests.support.batching import arrive, batching, states
from tests.support.factories import row_of, rows_of
from tests.support.work import claim_all, finish_all
from webapp.domain.access import SYSTEM
from webapp.domain.outcomes import Discard, Done, Retry
from webapp.queue import RecordingDoorbell
from webapp.runtime import Runtime
from webapp.services import gatekeeper, operate, subscriptions, upkeep
from webapp.services.record import release
from webapp.store import tables as t
from webapp.store.deliveries import Claimed
from webapp.store.feed_waiting import WaitingFor, waits_of

MINUTE = timedelta(minutes=1)


def together(rt: Runtime, owner: str = "worker-1") -> list[list[str]]:
    """What workers may start now, call by call."""
    gatekeeper.admit(rt)
    return [[one.id for one in call.members] for call in claim_all(rt, owner)]


def take(rt: Runtime) -> list[Claimed]:
    """The members of the one call that can be started."""
    gatekeeper.admit(rt)
    [call] = claim_all(rt)
    return list(call.members)


def test_nothing_runs_before_a_batch_is_full_or_old(rt: Runtime) -> None:
    ids = arrive(rt, batching(rt), 2)
    assert together(rt) == []
    ids += arrive(rt, row_of(rt, t.deliveries, ids[0]).subscription_id)
    assert together(rt) == [ids]


def test_beat_flushes_what_has_waited_and_rings_though_nothing_comes(rt: Runtime, clock: Any) -> None:
    ids = arrive(rt, batching(rt), 2)
    found = gatekeeper.open_gates(rt)
    assert found.next_at == clock() + MINUTE
    assert isinstance(rt.queue, RecordingDoorbell)
    assert rt.queue.rung == []
    clock.advance(minutes=1)
    gatekeeper.open_gates(rt)
    assert rt.queue.rung == ["default"]
    assert together(rt) == [ids]


def test_keys_have_batches_of_their_own(rt: Runtime) -> None:
    subscription = batching(rt, size=2)
    ada, ben = arrive(rt, subscription, 2, "ada"), arrive(rt, subscription, 1, "ben")
    assert together(rt) == [ada]
    ben += arrive(rt, subscription, 1, "ben")
    assert together(rt) == [ben]


def test_heavy_payloads_do_not_wait_for_more(rt: Runtime) -> None:
    ids = arrive(rt, batching(rt, size=10), 3, payload={"text": "x" * 400_000})
    assert together(rt) == [ids[:2]]


def test_backlog_goes_in_batches(rt: Runtime) -> None:
    ids = arrive(rt, batching(rt, size=2), 7)
    calls = together(rt)
    assert calls == [ids[0:2], ids[2:4], ids[4:6]]


def test_each_member_has_its_own_attempt_and_counts(rt: Runtime) -> None:
    members = _run(rt, arrive(rt, batching(rt), 3))
    assert finish_all(rt, members, Done()) == {one.id for one in members}
    attempts = rows_of(rt, t.attempts)
    assert [(row.delivery_id, row.n, row.outcome) for row in attempts] == [(one.id, 1, "succeeded") for one in members]
    assert {row.status for row in rows_of(rt, t.events)} == {"succeeded"}


def _run(rt: Runtime, ids: list[str]) -> list[Claimed]:
    members = take(rt)
    assert [one.id for one in members] == ids
    return members


def test_whole_batch_is_tried_again_and_dies_together(rt: Runtime, clock: Any) -> None:
    ids = arrive(rt, batching(rt), 3)
    finish_all(rt, _run(rt, ids), Retry())
    later = arrive(rt, row_of(rt, t.deliveries, ids[0]).subscription_id, 1)
    assert together(rt) == []
    clock.advance(seconds=1)
    members = _run(rt, ids)  # nobody joins it
    assert {one.attempt for one in members} == {2}
    finish_all(rt, members, Retry())
    assert states(rt, ids + later) == ["dead"] * 3 + ["pending"]


def test_dead_worker_gives_the_whole_batch_back_once(rt: Runtime, clock: Any) -> None:
    ids = arrive(rt, batching(rt), 3)
    lost = _run(rt, ids)
    clock.advance(seconds=11)
    assert upkeep.rescue(rt) == 3
    assert together(rt) == []  # it runs alone now
    [call] = claim_all(rt, "worker-2", lane="isolated")
    assert [one.id for one in call.members] == ids
    assert finish_all(rt, lost, Done()) == set()  # it comes back from the dead and changes nothing
    assert finish_all(rt, list(call.members), Done(), "worker-2") == set(ids)
    outcomes = [(row.delivery_id, row.outcome) for row in rows_of(rt, t.attempts)]
    assert sorted(outcomes) == sorted((id, how) for id in ids for how in ("crashed", "succeeded"))


def test_batch_that_is_rescued_in_parts_waits_until_all_are_back(rt: Runtime, clock: Any) -> None:
    ids = arrive(rt, batching(rt), 3)
    _run(rt, ids)
    clock.advance(seconds=11)
    with rt.db.write() as conn:  # as if one rescue had ended before this one
        conn.execute(update(t.deliveries).where(t.deliveries.c.id == ids[2]).values(lease_until=clock() + MINUTE))
    assert upkeep.rescue(rt) == 2
    gatekeeper.admit(rt)
    assert claim_all(rt, lane="isolated") == []
    clock.advance(minutes=2)
    assert upkeep.rescue(rt) == 1
    gatekeeper.admit(rt)
    [call] = claim_all(rt, lane="isolated")
    assert [one.id for one in call.members] == ids


def test_batch_that_is_given_back_is_taken_whole_at_once(rt: Runtime) -> None:
    ids = arrive(rt, batching(rt), 3)
    _run(rt, ids)
    assert release(rt, ids, "worker-1") == set(ids)
    assert together(rt, "worker-2") == [ids]


def test_one_whose_fence_fails_does_not_spoil_the_others(rt: Runtime) -> None:
    ids = arrive(rt, batching(rt), 3)
    members = _run(rt, ids)
    with rt.db.write() as conn:
        conn.execute(update(t.deliveries).where(t.deliveries.c.id == ids[1]).values(lease_owner="worker-2"))
    assert finish_all(rt, members, Done()) == {ids[0], ids[2]}
    assert states(rt, ids) == ["succeeded", "running", "succeeded"]


def test_cancelled_carrier_hands_the_batch_on(rt: Runtime) -> None:
    ids = arrive(rt, batching(rt), 3)
    gatekeeper.admit(rt)
    operate.cancel(rt, SYSTEM, ids[0])
    assert together(rt) == [ids[1:]]


def test_member_that_expired_stays_behind(rt: Runtime, clock: Any) -> None:
    subscription = batching(rt, expires="1h")
    ids = arrive(rt, subscription, 2, expires_at=clock() + timedelta(hours=1))
    ids += arrive(rt, subscription, 1, expires_at=clock() + timedelta(seconds=5))
    gatekeeper.admit(rt)
    clock.advance(seconds=6)
    assert together(rt) == [ids[:2]]
    assert upkeep.expire(rt) == 1
    assert states(rt, ids) == ["running", "running", "dead"]


def test_carrier_that_expired_hands_the_batch_on(rt: Runtime, clock: Any) -> None:
    subscription = batching(rt, expires="1h")
    ids = arrive(rt, subscription, 1, expires_at=clock() + timedelta(seconds=5))
    ids += arrive(rt, subscription, 2)
    gatekeeper.admit(rt)
    clock.advance(seconds=6)
    assert together(rt) == []  # it is still the one that is open
    upkeep.expire(rt)
    assert together(rt) == [ids[1:]]


def test_pause_holds_a_batch_and_resuming_lets_it_fly_whole(rt: Runtime) -> None:
    subscription = batching(rt)
    ids = arrive(rt, subscription, 3)
    gatekeeper.admit(rt)
    subscriptions.pause(rt, SYSTEM, subscription)
    assert states(rt, ids) == ["held"] * 3
    assert together(rt) == []
    subscriptions.resume(rt, SYSTEM, subscription)
    assert together(rt) == [ids]


def test_probe_of_a_breaker_waits_for_nobody(rt: Runtime) -> None:
    subscription = batching(rt, breaker={})
    [probe] = arrive(rt, subscription)
    with rt.db.write() as conn:
        values = {"subscription_id": subscription, "breaker": "half_open", "opened_at": rt.clock()}
        conn.execute(t.gates.insert().values(**values, probe_id=probe, probe_attempt=0))
    assert together(rt) == [[probe]]


def test_two_gatekeepers_put_nobody_into_two_batches(rt: Runtime) -> None:
    subscription = batching(rt, size=2)
    ids = arrive(rt, subscription, 20)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: gatekeeper.admit(rt), range(8)))
    calls = together(rt)
    assert sorted(id for call in calls for id in call) == ids
    assert {len(call) for call in calls} == {2}
    assert {row.batch_id for row in rows_of(rt, t.deliveries)} == {call[0] for call in calls}


def test_two_workers_never_share_a_batch(rt: Runtime) -> None:
    subscription = batching(rt, size=2)
    ids = arrive(rt, subscription, 20)
    gatekeeper.admit(rt)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: claim_all(rt, f"worker-{n}", limit=3), range(8)))
    calls = [[one.id for one in call.members] for taken in found for call in taken]
    calls += together(rt)
    assert sorted(id for call in calls for id in call) == ids
    assert {len(call) for call in calls} == {2}


def test_policy_that_was_taken_away_lets_each_run_by_itself(rt: Runtime) -> None:
    subscription = batching(rt)
    ids = arrive(rt, subscription, 3)
    gatekeeper.admit(rt)
    with rt.db.write() as conn:
        conn.execute(update(t.subscriptions).values(policies={}))
    calls = claim_all(rt)
    gatekeeper.admit(rt)
    calls += claim_all(rt)
    assert [(one.id, one.mates, one.is_batched) for one in calls] == [(id, (), False) for id in ids]


def test_delivery_from_before_the_policy_goes_alone(rt: Runtime) -> None:
    [stray] = _stray(rt)
    assert together(rt) == [[stray]]


def _stray(rt: Runtime) -> list[str]:
    ids = arrive(rt, batching(rt))
    with rt.db.write() as conn:
        conn.execute(update(t.deliveries).values(limit_key=None))
    return ids


# People


def dead(rt: Runtime) -> list[str]:
    """A batch that has died."""
    ids = arrive(rt, batching(rt), 3)
    finish_all(rt, _run(rt, ids), Discard("no"))
    return ids


def test_retry_of_a_dead_one_retries_the_dead_of_its_batch(rt: Runtime) -> None:
    ids = dead(rt)
    operate.skip(rt, SYSTEM, ids[2])
    assert operate.retry(rt, SYSTEM, ids[1]) == 2
    assert together(rt) == [ids[:2]]
    entry = rows_of(rt, t.audit)[-1]
    assert (entry.action, entry.target_id, entry.details["with"]) == ("delivery.retried", ids[1], [ids[0]])
    assert {row.status for row in rows_of(rt, t.events)} == {"processing", "succeeded"}


def test_retry_of_a_waiting_one_hastens_its_batch(rt: Runtime) -> None:
    ids = arrive(rt, batching(rt), 3)
    finish_all(rt, _run(rt, ids), Retry())
    assert operate.retry(rt, SYSTEM, ids[2]) == 3
    assert together(rt) == [ids]


def test_rerun_of_one_makes_the_whole_batch_anew(rt: Runtime) -> None:
    ids = dead(rt)
    new_id = operate.rerun(rt, SYSTEM, ids[1])
    [call] = together(rt)
    assert call[1] == new_id
    assert [row_of(rt, t.deliveries, id).replay_of for id in call] == ids
    assert {row_of(rt, t.deliveries, id).batch_id for id in call} == {call[0]}


def test_without_the_policy_a_person_acts_on_one_alone(rt: Runtime) -> None:
    ids = dead(rt)
    with rt.db.write() as conn:
        conn.execute(update(t.subscriptions).values(policies={}))
    assert operate.retry(rt, SYSTEM, ids[0]) == 1
    operate.rerun(rt, SYSTEM, ids[1])
    assert len(rows_of(rt, t.deliveries)) == 4
    assert states(rt, ids) == ["pending", "dead", "dead"]


def test_page_says_what_a_batch_waits_for(rt: Runtime, clock: Any) -> None:
    ids = arrive(rt, batching(rt), 2, "ada")
    assert _waits_for(rt, ids[1]) == WaitingFor("batch", used=2, limit=3, key="ada", until=clock() + MINUTE)
    ids += arrive(rt, row_of(rt, t.deliveries, ids[0]).subscription_id, 1, "ada")
    assert _waits_for(rt, ids[1]) == WaitingFor("gate")
    gatekeeper.admit(rt)
    first = row_of(rt, t.deliveries, ids[0])
    assert _waits_for(rt, ids[1]) == WaitingFor("batch", first.id, first.event_uid, "pending", key="ada")


def _waits_for(rt: Runtime, delivery_id: str) -> WaitingFor | None:
    with rt.db.read() as conn:
        return waits_of(conn, [delivery_id], rt.clock())[delivery_id].waiting_for


def test_only_so_many_batches_wait_for_a_worker_at_a_time(rt: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.store.batches.MOST_OPEN", 4)
    ids = arrive(rt, batching(rt, size=2), 8)
    assert gatekeeper.admit(rt) == 2
    assert gatekeeper.admit(rt) == 0
    calls = together(rt)
    assert calls == [ids[:2], ids[2:4]]
    assert together(rt) == [ids[4:6], ids[6:]]
