"""The gate: order per key, limits and throttles hold whatever happens, and nobody waits for nothing."""

from __future__ import annotations

import random
import threading
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_event, make_subscription, row_of
from tests.support.work import LEASE
from webapp.domain.access import Actor
from webapp.domain.errors import Conflict
from webapp.domain.lifecycle import settle
from webapp.domain.outcomes import Discard, Done, Outcome, Retry
from webapp.domain.policies import parse_policies
from webapp.queue import RecordingDoorbell
from webapp.runtime import Runtime
from webapp.services import gatekeeper, operate, upkeep
from webapp.services.record import record
from webapp.store import gates, tables
from webapp.store.deliveries import Claimed, Finished, claim
from webapp.store.tables import deliveries

TWICE = {"max_attempts": 2, "base_s": 1, "cap_s": 1}


def gated_subscription(rt: Runtime, **policies: Any) -> str:
    return make_subscription(rt, retry=TWICE, policies=parse_policies(policies).to_json())


def arrive(rt: Runtime, subscription_id: str, order: str | None = None, limit: str | None = None, **fields: Any) -> str:
    """A new delivery as accepting leaves it: before the gate."""
    keys = {"gated": True, "order_key": order, "limit_key": limit}
    delivery_id = make_delivery(rt, make_event(rt), subscription_id, **keys | fields)
    rt.clock.advance(milliseconds=1)  # type: ignore[attr-defined]  # ids of one millisecond have no order
    return delivery_id


def take(rt: Runtime, limit: int = 100) -> list[Claimed]:
    with rt.db.write() as conn:
        return claim(conn, lane="default", owner="w1", limit=limit, now=rt.clock(), lease=LEASE)


def end(rt: Runtime, claimed: Claimed, outcome: Outcome | None = None) -> None:
    """Record it, which opens the gate for who waited."""
    now = rt.clock()
    settled = settle(outcome or Done(), policy=claimed.policy, tries_used=claimed.tries_used, now=now, roll=0.5)
    record(rt, [Finished(claimed, settled, now, now)], "w1")


def due(rt: Runtime) -> set[str]:
    """What a worker could claim now or later without asking the gate."""
    with rt.db.read() as conn:
        found = select(deliveries.c.id).where(deliveries.c.state.in_(("pending", "waiting")), ~deliveries.c.gated)
        return set(conn.execute(found).scalars())


# Ordering


def test_order_lets_the_first_of_each_key_through(rt: Runtime) -> None:
    subscription = gated_subscription(rt, ordering={"key": "{data.a}"})
    first = arrive(rt, subscription, "a")
    arrive(rt, subscription, "a")
    other = arrive(rt, subscription, "")  # the event had no such field: a key like any other
    assert gatekeeper.admit(rt) == 2
    assert due(rt) == {first, other}
    assert gatekeeper.admit(rt) == 0


def test_end_of_one_lets_the_next_of_its_key_through_at_once(rt: Runtime) -> None:
    subscription = gated_subscription(rt, ordering={"key": "{data.a}"})
    order = [arrive(rt, subscription, "a") for _ in range(4)]
    gatekeeper.admit(rt)
    assert isinstance(rt.queue, RecordingDoorbell)
    for delivery in order:
        rt.queue.rung.clear()
        [claimed] = take(rt)
        assert claimed.id == delivery
        end(rt, claimed)
        assert rt.queue.rung == ([] if delivery == order[-1] else ["default"])


def test_one_that_is_tried_again_keeps_its_followers_waiting(rt: Runtime, clock: Clock) -> None:
    subscription = gated_subscription(rt, ordering={"key": "{data.a}"})
    first, second = arrive(rt, subscription, "a"), arrive(rt, subscription, "a")
    gatekeeper.admit(rt)
    end(rt, take(rt)[0], Retry())
    assert gatekeeper.admit(rt) == 0
    clock.advance(seconds=1)
    assert [one.id for one in take(rt)] == [first]
    assert row_of(rt, deliveries, second).gated


def test_crash_keeps_the_order_though_the_first_runs_alone_now(rt: Runtime, clock: Clock) -> None:
    subscription = gated_subscription(rt, ordering={"key": "{data.a}"})
    first, second = arrive(rt, subscription, "a"), arrive(rt, subscription, "a")
    gatekeeper.admit(rt)
    take(rt)
    clock.advance(seconds=11)
    assert upkeep.rescue(rt) == 1
    assert gatekeeper.admit(rt) == 0
    assert row_of(rt, deliveries, first).lane == "isolated"
    assert row_of(rt, deliveries, second).gated


def test_dead_one_blocks_its_key_until_it_is_skipped(rt: Runtime, operator: Actor) -> None:
    subscription = gated_subscription(rt, ordering={"key": "{data.a}"})
    first, second = arrive(rt, subscription, "a"), arrive(rt, subscription, "a")
    gatekeeper.admit(rt)
    end(rt, take(rt)[0], Discard("bad address"))
    assert gatekeeper.admit(rt) == 0
    operate.skip(rt, operator, first, "paid by hand")
    assert due(rt) == {second}
    row, event = row_of(rt, deliveries, first), row_of(rt, tables.events, row_of(rt, deliveries, first).event_uid)
    assert (row.state, row.reason) == ("skipped", "person")
    assert (event.open, event.failed) == (0, 0)
    with rt.db.read() as conn:
        [entry] = conn.execute(select(tables.audit).where(tables.audit.c.action == "delivery.skipped"))
    assert entry.details["reason"] == "paid by hand"
    with pytest.raises(Conflict):
        operate.skip(rt, operator, first)


def test_dead_one_does_not_block_when_its_subscription_says_so(rt: Runtime, operator: Actor) -> None:
    subscription = gated_subscription(rt, ordering={"key": "{data.a}", "on_dead": "continue"})
    first, second = arrive(rt, subscription, "a"), arrive(rt, subscription, "a")
    gatekeeper.admit(rt)
    end(rt, take(rt)[0], Discard("bad address"))
    [claimed] = take(rt)
    assert claimed.id == second
    operate.retry(rt, operator, first)  # it comes back behind one that went on: never both at once
    assert gatekeeper.admit(rt) == 0
    end(rt, claimed)
    assert due(rt) == {first}


def test_held_and_cancelled(rt: Runtime, operator: Actor) -> None:
    subscription = gated_subscription(rt, ordering={"key": "{data.a}"})
    first, second = arrive(rt, subscription, "a", state="held"), arrive(rt, subscription, "a")
    assert gatekeeper.admit(rt) == 0
    operate.cancel(rt, operator, first)
    assert due(rt) == {second}


def test_very_many_keys_are_all_looked_at(rt: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "MAX_KEYS", 3)
    dice = random.Random(1)
    rt.roll = dice.random
    subscription = gated_subscription(rt, ordering={"key": "{data.a}"})
    for key in "abcde":  # their first is dead: the first look sees nothing but them
        arrive(rt, subscription, key, gated=False, state="dead")
        arrive(rt, subscription, key)
    wanted = {arrive(rt, subscription, key) for key in "vwxyz"}
    for _ in range(40):
        gatekeeper.admit(rt)
    assert due(rt) == wanted


# Limits


def test_limit_counts_what_runs_and_what_may_run(rt: Runtime) -> None:
    subscription = gated_subscription(rt, concurrency={"limit": 2})
    for _ in range(4):
        arrive(rt, subscription, limit="")
    assert gatekeeper.admit(rt) == 2
    [claimed] = take(rt, 1)
    assert gatekeeper.admit(rt) == 0
    end(rt, claimed)
    assert len(due(rt)) == 2


def test_failed_one_gives_its_place_to_the_next(rt: Runtime, clock: Clock) -> None:
    subscription = gated_subscription(rt, concurrency={"limit": 1})
    first, second = arrive(rt, subscription, limit=""), arrive(rt, subscription, limit="")
    gatekeeper.admit(rt)
    end(rt, take(rt)[0], Retry())
    assert (row_of(rt, deliveries, first).gated, due(rt)) == (True, {second})
    clock.advance(seconds=1)
    assert gatekeeper.admit(rt) == 0
    end(rt, take(rt)[0])
    assert due(rt) == {first}


def test_full_key_does_not_hide_the_others(rt: Runtime) -> None:
    subscription = gated_subscription(rt, concurrency={"key": "{data.a}", "per_key": 1})
    for _ in range(30):
        arrive(rt, subscription, limit="flood")
    other = arrive(rt, subscription, limit="other")
    assert gatekeeper.admit(rt) == 2
    assert other in due(rt)


def test_policies_that_were_taken_away_let_everything_through(rt: Runtime) -> None:
    subscription = gated_subscription(rt)
    gone = {arrive(rt, subscription, "a"), arrive(rt, subscription, "a"), arrive(rt, subscription, limit="")}
    ordered = gated_subscription(rt, ordering={"key": "{data.a}"})
    keyed = gated_subscription(rt, concurrency={"key": "{data.a}", "per_key": 1})
    strays = {arrive(rt, ordered, limit=""), arrive(rt, keyed, "a")}
    gatekeeper.admit(rt)
    assert due(rt) == gone | strays


def test_workers_are_told_of_every_lane_but_the_one_the_caller_claims_from(rt: Runtime) -> None:
    subscription = gated_subscription(rt, concurrency={"limit": 1})
    arrive(rt, subscription, limit="", lane="isolated")
    arrive(rt, gated_subscription(rt, concurrency={"limit": 1}), limit="")
    gatekeeper.open_gates(rt, claims_next="default")
    assert isinstance(rt.queue, RecordingDoorbell)
    assert rt.queue.rung == ["isolated"]


def test_throttle_tells_when_the_next_may_start(rt: Runtime, clock: Clock) -> None:
    subscription = gated_subscription(rt, throttle={"limit": 2, "period": "10s"})
    for _ in range(5):
        arrive(rt, subscription, limit="")
    begun = clock()
    passed = gatekeeper.open_gates(rt)
    assert (passed.count, passed.next_at) == (2, begun + timedelta(seconds=5))
    clock.advance(seconds=4)
    assert gatekeeper.admit(rt) == 0
    clock.advance(seconds=1)
    assert gatekeeper.admit(rt) == 1
    clock.advance(seconds=30)
    assert gatekeeper.admit(rt) == 2


def test_paused_and_expired_ones_do_not_pass(rt: Runtime, clock: Clock) -> None:
    paused = make_subscription(rt, policies={"concurrency": {"limit": 5}}, paused_at=clock())
    arrive(rt, paused, limit="")
    arrive(rt, gated_subscription(rt, concurrency={"limit": 5}), limit="", expires_at=clock())
    assert gatekeeper.admit(rt) == 0


@pytest.mark.postgres
def test_processes_that_ask_at_once_never_let_too_many_through(make_runtime: Any, postgres_url: str) -> None:
    rt = make_runtime(postgres_url)
    subscription = gated_subscription(rt, concurrency={"limit": 3})
    for _ in range(30):
        arrive(rt, subscription, limit="")
    start = threading.Barrier(8)

    def ask(_: int) -> int:
        start.wait()
        return gatekeeper.admit(rt)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(8))) == 3
    assert len(due(rt)) == 3


# Whatever happens in whatever order

WORLDS: dict[str, dict[str, Any]] = {
    "order": {"ordering": {"key": "{data.a}"}},
    "order that goes on": {"ordering": {"key": "{data.a}", "on_dead": "continue"}},
    "order and limit": {"ordering": {"key": "{data.a}"}, "concurrency": {"limit": 2}},
    "limits": {"concurrency": {"limit": 4, "key": "{data.a}", "per_key": 2}},
    "throttle and limit": {"throttle": {"limit": 3, "period": "5s"}, "concurrency": {"limit": 4}},
}


class World:
    """Random deeds of senders, workers, crashes and people; after each, what must hold is looked at."""

    def __init__(self, rt: Runtime, clock: Clock, operator: Actor, policies: dict[str, Any], seed: int) -> None:
        self.rt, self.clock, self.operator, self.dice = rt, clock, operator, random.Random(seed)
        self.policies = parse_policies(policies)
        self.subscription = gated_subscription(rt, **policies)
        self.held: list[Claimed] = []
        self.starts: list[Any] = []  # of the throttle

    def step(self) -> None:
        deeds = [self.send, self.send, self.work, self.work, self.finish, self.finish, self.finish, self.pass_time]
        self.dice.choice([*deeds * 3, self.crash, self.meddle, self.meddle])()
        before = due(self.rt)
        gatekeeper.admit(self.rt)
        self.starts += [self.clock()] * len(due(self.rt) - before)
        self.check()

    def send(self) -> None:
        key = self.dice.choice("abc")
        has_limit = self.policies.concurrency or self.policies.throttle
        arrive(self.rt, self.subscription, key if self.policies.ordering else None, key if has_limit else None)

    def work(self) -> None:
        self.held += take(self.rt, self.dice.randint(1, 3))
        for isolated in self.rows("pending", "waiting"):
            if isolated.lane == "isolated" and self.dice.random() < 0.5:
                with self.rt.db.write() as conn:
                    self.held += claim(conn, lane="isolated", owner="w1", limit=1, now=self.clock(), lease=LEASE)

    def finish(self) -> None:
        if self.held:
            one = self.held.pop(self.dice.randrange(len(self.held)))
            before = due(self.rt)
            end(self.rt, one, self.dice.choice([Done(), Done(), Retry(), Discard("no")]))
            self.starts += [self.clock()] * len(due(self.rt) - before - {one.id})

    def pass_time(self) -> None:
        self.clock.advance(seconds=self.dice.choice([0.3, 1, 4]))

    def crash(self) -> None:
        self.clock.advance(seconds=11)
        self.held.clear()
        upkeep.rescue(self.rt)

    def meddle(self) -> None:
        if dead := self.rows("dead"):
            before = due(self.rt)
            deed = self.dice.choice([operate.skip, operate.retry])
            deed(self.rt, self.operator, self.dice.choice(dead).id)
            self.starts += [self.clock()] * len(due(self.rt) - before)

    def rows(self, *states: str) -> list[Any]:
        with self.rt.db.read() as conn:
            found = select(deliveries).where(deliveries.c.state.in_(states))
            return list(conn.execute(found.order_by(deliveries.c.id)))

    def check(self) -> None:
        open_ = self.rows("pending", "waiting", "running", "dead")
        under_way = [row for row in open_ if row.state != "dead" and not row.gated]
        self.check_order(open_, under_way)
        self.check_limits([row for row in under_way if row.state == "running" or row.limit_key is not None])
        if throttle := self.policies.throttle:
            for n in (throttle.limit, 2 * throttle.limit):
                pairs = zip(self.starts, self.starts[n:], strict=False)
                least = (n + 1 - throttle.limit) * throttle.period / throttle.limit
                assert all(late - early >= least - timedelta(milliseconds=1) for early, late in pairs)

    def check_order(self, open_: list[Any], under_way: list[Any]) -> None:
        if self.policies.ordering is None:
            return
        of_key: dict[str, list[Any]] = defaultdict(list)
        for row in open_:
            if row.state != "dead" or self.policies.ordering.on_dead == "block":
                of_key[row.order_key].append(row)
        assert all(n == 1 for n in Counter(row.order_key for row in under_way).values())
        for row in under_way if self.policies.ordering.on_dead == "block" else ():
            assert of_key[row.order_key][0].id == row.id, "somebody overtook"

    def check_limits(self, under_way: list[Any]) -> None:
        limits = self.policies.concurrency
        if limits is not None:
            assert len(under_way) <= (limits.limit or len(under_way))
            most = max(Counter(row.limit_key for row in under_way).values(), default=0)
            assert most <= (limits.per_key or most)


@pytest.mark.parametrize("world", WORLDS)
def test_whatever_happens_order_and_limits_hold(rt: Runtime, clock: Clock, operator: Actor, world: str) -> None:
    it = World(rt, clock, operator, WORLDS[world], seed=len(world))
    for _ in range(60):
        it.step()
    assert it.rows("succeeded")
    for _ in range(200):  # and in the end everybody has had a turn
        if not it.rows("pending", "waiting", "running", "dead"):
            break
        it.work()
        for one in it.held:
            end(rt, one)
        it.held.clear()
        if dead := it.rows("dead"):
            operate.skip(rt, operator, dead[0].id)
        clock.advance(seconds=6)
        upkeep.rescue(rt)
        gatekeeper.admit(rt)
    assert it.rows("pending", "waiting", "running", "dead") == []
