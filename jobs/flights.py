"""The event loop that handlers share: one per worker process, in its own thread, alive as long as the process.

A delivery in here is a flight: started when a slot is free, cancelled at its deadline, abandoned when it
does not heed that. What became of it is handed on exactly once. No database in here.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from jobs.batching import due_together, run_batch, without_details
from jobs.capture import CURRENT
from jobs.context import Context, TimeIsUp, Tools
from jobs.dialing import GuardedLoop
from jobs.pace import Pace
from jobs.runner import (
    STOPPED,
    Ending,
    Find,
    conclude,
    conclude_stopped,
    run_attempt,
    timed_out_ending,
    too_late_ending,
    with_state,
)
from webapp.domain.gathering import name_of
from webapp.domain.lifecycle import CancelEnd, State
from webapp.domain.outcomes import Done, Skip
from webapp.services.cause import CAUSE
from webapp.store.deliveries import Claimed, Finished

log = logging.getLogger(__name__)

GRACE_S = 1.0  # after its deadline a handler may clean up for this long
STOP_GRACE_S = 3.0  # and this long when a person cancelled it
SWEEP_S = 0.05
FAREWELL_S = 0.5
IDLE_SWEEP_S = 0.5
LONGEST_S = 3600.0  # no attempt lasts longer than this, however often it asks
LOOK_AHEAD_S = 0.1  # claim what is likely to be started within this


@dataclass(slots=True, eq=False)
class Flight:
    """A delivery whose handler is running, or a batch of them in one call."""

    claimed: Claimed
    ctx: Context
    started_at: datetime
    deadline: float  # monotonic
    task: asyncio.Task[None] | None = None
    extended_s: float = 0.0  # of the deadline, by the handler itself
    apart: dict[str, Ending] = field(default_factory=dict)  # of a batch: who ended by itself
    asked: set[str] = field(default_factory=set)  # those of its deliveries that are to be cancelled
    stop_by: float | None = None  # monotonic; set when the cancellation of all of it was asked for
    told_to_stop: bool = False
    timed_out: bool = False
    landed: bool = False

    @property
    def limit(self) -> timedelta:
        """The time limit with all extensions."""
        return self.claimed.timeout + timedelta(seconds=self.extended_s)

    @property
    def patience_ends(self) -> float:
        """When it is left behind if it has not ended."""
        overdue = self.deadline + GRACE_S
        return overdue if self.stop_by is None else min(self.stop_by, overdue)

    @property
    def is_overdue(self) -> bool:
        """Whether its time limit has passed (it may also be that it was cancelled)."""
        return self.stop_by is None or time.monotonic() > self.deadline

    def conclude(self, ending: Ending, at: datetime, roll: float, how: CancelEnd) -> tuple[Finished, ...]:
        """What is to be recorded, of each of its deliveries. What the handler remembers, it remembers once."""
        changes = self.ctx.changes
        together = [one for one in self.claimed.members if one.id not in self.apart]
        rows = [
            self._conclude(one, self.apart[one.id], at, roll, how)
            for one in self.claimed.members
            if one.id in self.apart
        ]
        for place, one in enumerate(together):
            row = self._conclude(one, without_details(ending) if place else ending, at, roll, how)
            is_stopped = row.settlement.state is State.CANCELLED
            rows.append(row if not changes or is_stopped else with_state(row, () if place else changes, roll))
        return due_together(rows) if len(rows) > 1 else tuple(rows)

    def _conclude(self, one: Claimed, ending: Ending, at: datetime, roll: float, how: CancelEnd) -> Finished:
        """A cancellation that was asked for takes the place of every end but a good one."""
        if self.stop_by is not None and not isinstance(ending.outcome, Done | Skip):
            return conclude_stopped(one, ending, how, self.started_at, at)
        return conclude(one, ending, self.started_at, at, roll)


@dataclass(frozen=True, slots=True)
class Landing:
    """An attempt that is over, with the context that may still hold its last words. Of a batch, an attempt of each."""

    rows: tuple[Finished, ...]
    ctx: Context

    @property
    def finished(self) -> Finished:
        """Of the delivery that was claimed."""
        return next(row for row in self.rows if row.claimed.id == self.ctx.carrier_id)


class FlightLoop:
    """Runs claimed deliveries. ``owned`` is everything between claim and record, by delivery id."""

    def __init__(
        self,
        *,
        find: Find,
        tools: Tools,
        roll: Callable[[], float],
        land: Callable[[Landing], None],
        concurrency: int,
        look_ahead: int,
    ) -> None:
        self.owned: dict[str, Claimed] = {}
        self.flights: dict[str, Flight] = {}
        self.ticked = time.monotonic()
        self.loop = GuardedLoop()
        self.thread = threading.Thread(target=self._run, name="handlers", daemon=True)
        self._find, self._tools, self._roll, self._land = find, tools, roll, land
        self._concurrency = concurrency
        self._look_ahead = look_ahead
        self._ready: deque[Claimed] = deque()
        self._pace, self._is_filling = Pace(), False
        self._mates: set[str] = set()  # those of ``owned`` that fly with another
        self._mean_run_s = 1.0  # of recent attempts: how far to look ahead
        self._space = threading.Condition()
        self.on_extended: Callable[[Flight], None] = lambda _: None  # who else must know of a later deadline
        self._deadlines = threading.Lock()  # an attempt is extended or cut off, never both
        self._lingering: set[asyncio.Task[None]] = set()  # abandoned ones: asyncio itself holds them weakly
        self._sweeper: asyncio.TimerHandle | None = None

    # From other threads

    def start(self) -> None:
        """Start the loop's thread."""
        self.thread.start()

    def take(self, batch: Sequence[Claimed]) -> None:
        """Run these, as slots become free."""
        self.owned.update((one.id, one) for claimed in batch for one in (*claimed.mates, claimed))
        self._mates.update(one.id for claimed in batch for one in claimed.mates)
        self.loop.call_soon_threadsafe(self._enqueue, batch)

    def room(self) -> int:
        """How many deliveries to claim now: free slots, and a little ahead when handlers are quick."""
        ahead = min(self._look_ahead, int(self._concurrency * LOOK_AHEAD_S / self._mean_run_s))
        room = max(0, self._concurrency + ahead - (len(self.owned) - len(self._mates)))
        return room if ahead < self._look_ahead or room >= self._look_ahead // 2 else 0

    def wait_for_room(self, timeout: float) -> int:
        """Wait until something can be claimed; 0 when nothing could in that time."""
        with self._space:
            self._space.wait_for(self.room, timeout)
        return self.room()

    def placed(self) -> list[str]:
        """Those that others may wait for, at a gate."""
        return [one.id for one in list(self.owned.values()) if one.order_key is not None or one.limit_key is not None]

    def wait_for_end(self, ids: Sequence[str], timeout: float) -> None:
        """Wait until one of these is recorded."""
        with self._space:
            self._space.wait_for(lambda: any(id not in self.owned for id in ids), timeout)

    def wait_until_empty(self, timeout: float) -> bool:
        """Wait until everything is recorded."""
        with self._space:
            return self._space.wait_for(lambda: not self.owned, timeout)

    def undone(self) -> set[str]:
        """What runs or waits for its turn; the rest of ``owned`` is on its way to be recorded."""
        calls = [*(flight.claimed for flight in list(self.flights.values())), *list(self._ready)]
        return {one.id for claimed in calls for one in claimed.members}

    def forget(self, ids: Sequence[str]) -> None:
        """These are recorded or no longer ours."""
        with self._space:
            for id in ids:
                self.owned.pop(id, None)
                self._mates.discard(id)
            self._space.notify_all()

    def drop(self, ids: Sequence[str]) -> None:
        """Stop these and forget them: they were taken away from us. A batch without its carrier is not ours either."""
        self.forget([one.id for id in ids if (claimed := self.owned.get(id)) for one in claimed.members])
        self.loop.call_soon_threadsafe(self._drop, frozenset(ids))

    def cancel(self, ids: Sequence[str]) -> None:
        """The end of these was asked for: tell them once; who has not ended ``STOP_GRACE_S`` later is left behind."""
        if not ids:
            return
        for flight in list(self.flights.values()):
            self._ask(flight, ids)  # here, not in the loop: a blocked loop is what the watchdog is for
        self.loop.call_soon_threadsafe(self._cancel, frozenset(ids))

    def stop(self) -> None:
        """Stop the loop. What still runs is cut off."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(timeout=2)

    # In the loop's thread

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.call_soon(self._sweep)
        self.loop.run_forever()
        self._close()

    def _close(self) -> None:
        """Let what was cancelled clean up, briefly; who ignores that is left to the end of the process."""
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        if left:
            self.loop.run_until_complete(asyncio.wait(left, timeout=FAREWELL_S))
        self.loop.close()

    def _enqueue(self, batch: Sequence[Claimed]) -> None:
        self._ready.extend(batch)
        self._fill()
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._sweeper = self.loop.call_later(SWEEP_S, self._sweep)

    def _fill(self) -> None:
        if not self._is_filling:
            self._start_some()

    def _go_on(self, since: float) -> None:
        self._pace.came_round(time.monotonic() - since)
        self._is_filling = False
        self._start_some()

    def _start_some(self) -> None:
        started = 0
        while self._ready and len(self.flights) < self._concurrency:
            if started >= self._pace.starts:  # the loop must come round: deadlines and answers wait for it
                self._is_filling = True
                self.loop.call_soon(self._go_on, time.monotonic())
                return
            claimed = self._ready.popleft()
            if claimed.id in self.owned:
                self._take_off(claimed)
                started += 1

    def _take_off(self, claimed: Claimed) -> None:
        now = self._tools.clock()
        ctx = self._context(claimed, now, lambda seconds: self._prolong(flight, seconds))
        deadline = time.monotonic() + claimed.timeout.total_seconds()
        flight = self.flights[claimed.id] = Flight(claimed, ctx, now, deadline)
        flight.task = self.loop.create_task(self._fly(flight))

    def _context(self, claimed: Claimed, now: datetime, prolong: Callable[[float], float]) -> Context:
        return Context(
            delivery_id=name_of([one.id for one in claimed.members]) if claimed.is_batched else claimed.id,
            carrier_id=claimed.id,
            event_uid=claimed.event_uid,
            subscription_id=claimed.subscription_id,
            attempt=claimed.attempt,
            deadline=now + claimed.timeout,
            tools=self._tools,
            prolong=prolong,
        )

    async def _fly(self, flight: Flight) -> None:
        CURRENT.set(flight.ctx)  # of this task and of the threads that it asks for help
        CAUSE.set(flight.claimed.event_uid)
        ending = too_late_ending(flight.claimed.members[-1], flight.started_at)  # a batch is as old as its youngest
        ending = ending or await self._run_handler(flight)
        self._touch_down(flight, timed_out_ending(flight.limit) if flight.timed_out else ending)

    async def _run_handler(self, flight: Flight) -> Ending:
        if flight.claimed.is_batched:
            return await run_batch(flight.claimed, flight.ctx, self._find, flight.apart)
        return await run_attempt(flight.claimed, flight.ctx, self._find)

    def _prolong(self, flight: Flight, seconds: float) -> float:
        """Move the deadline of a running attempt, as far as that is allowed. From any thread."""
        with self._deadlines:
            if flight.landed or flight.timed_out or time.monotonic() >= flight.deadline:
                raise TimeIsUp("the time of this attempt is up")
            granted = max(0.0, min(seconds, LONGEST_S - flight.limit.total_seconds()))
            flight.deadline += granted
            flight.extended_s += granted
        self.on_extended(flight)
        return granted

    def _ask(self, flight: Flight, ids: Collection[str]) -> None:
        """It is told when no delivery of it is wanted any more; one of a batch that runs cannot be taken out."""
        members = {one.id for one in flight.claimed.members}
        flight.asked |= members.intersection(ids)
        if flight.asked == members and flight.stop_by is None:
            flight.stop_by = time.monotonic() + STOP_GRACE_S
            flight.ctx.cancelled = True

    def _cancel(self, ids: frozenset[str]) -> None:
        for claimed in [one for one in self._ready if ids.intersection(member.id for member in one.members)]:
            self._ready.remove(claimed)
            self._cancel_unstarted(claimed, ids)
        for flight in list(self.flights.values()):
            self._ask(flight, ids)
            if flight.stop_by is not None and flight.task is not None and not flight.told_to_stop:
                flight.told_to_stop = True
                flight.task.cancel()

    def _cancel_unstarted(self, claimed: Claimed, ids: frozenset[str]) -> None:
        left = [one for one in claimed.members if one.id not in ids]
        if left:
            first = self.owned[left[0].id] = replace(left[0], mates=tuple(left[1:]))
            self._mates.discard(first.id)
            self._ready.append(first)
        for one in claimed.members:
            if one.id in ids:
                self._land_unstarted(replace(one, mates=()))

    def _land_unstarted(self, claimed: Claimed) -> None:
        now = self._tools.clock()
        ctx = self._context(claimed, now, float)
        self._land(Landing((conclude_stopped(claimed, STOPPED, CancelEnd.BEFORE_START, now, now),), ctx))

    def _touch_down(self, flight: Flight, ending: Ending, how: CancelEnd = CancelEnd.COOPERATIVE) -> None:
        if flight.landed:
            return  # abandoned before, or taken away: whatever it says now comes too late
        flight.landed = True
        self.flights.pop(flight.claimed.id, None)
        now = self._tools.clock()
        self._mean_run_s += 0.05 * (max(1e-4, (now - flight.started_at).total_seconds()) - self._mean_run_s)
        self._land(Landing(flight.conclude(ending, now, self._roll(), how), flight.ctx))
        self._fill()

    def _sweep(self) -> None:
        """Cut off what is over its time. Runs several times a second, which also shows that the loop is free."""
        self.ticked = now = time.monotonic()
        for flight in list(self.flights.values()):
            if flight.task is None:
                continue
            if now >= flight.deadline and not flight.timed_out:
                self._cut_off(flight, flight.task)  # even when its patience ended too, while the loop was blocked
            elif now > flight.patience_ends:
                self._abandon(flight)
        self._sweeper = self.loop.call_later(SWEEP_S if self.flights else IDLE_SWEEP_S, self._sweep)

    def _cut_off(self, flight: Flight, task: asyncio.Task[None]) -> None:
        with self._deadlines:
            flight.timed_out = time.monotonic() >= flight.deadline
        if flight.timed_out:
            task.cancel()

    def _abandon(self, flight: Flight) -> None:
        """It does not heed its cancellation. Record that; its slot is free, its task is left alone."""
        log.error(
            "handler %s ignores its %s and was left behind",
            flight.claimed.handler,
            "time limit" if flight.is_overdue else "cancellation",
            extra={"delivery_id": flight.claimed.id, "action": "handler_abandoned"},
        )
        self._linger(flight)
        note = "; it ignored its cancellation"
        ending = timed_out_ending(flight.limit, note) if flight.is_overdue else STOPPED
        self._touch_down(flight, ending, CancelEnd.KILLED)

    def _drop(self, ids: frozenset[str]) -> None:
        for id in ids & self.flights.keys():
            flight = self.flights.pop(id)
            flight.landed = True
            flight.ctx.close()
            self._linger(flight)
            if flight.task is not None:
                flight.task.cancel()
        self._fill()

    def _linger(self, flight: Flight) -> None:
        if flight.task is not None:
            self._lingering.add(flight.task)
            flight.task.add_done_callback(self._lingering.discard)

    def current(self) -> Flight | None:
        """The flight whose code the loop is executing at this moment, seen from another thread."""
        task: asyncio.Task[Any] | None = asyncio.current_task(self.loop)
        return next((f for f in list(self.flights.values()) if f.task is task), None) if task else None
