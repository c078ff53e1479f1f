"""The inside of a forked horse: one delivery, alone in its process, which dies with its parent.

Nothing that the parent opened may be used here: settings and handlers come over the fork, connections do not.
What this process cannot end by itself (it is killed, or exits in mid-handler) its lease ends for it.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import threading
import time
from dataclasses import dataclass
from datetime import timedelta

from jobs.engine import Engine
from jobs.flights import GRACE_S, Flight
from jobs.horselimit import HorseLimit
from jobs.registry import Registry
from webapp.runtime import Runtime, build_runtime
from webapp.settings import Settings
from webapp.store import deliveries
from webapp.store.deliveries import Claimed

log = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1
HELD_MARGIN_S = 4.0  # beyond time limit and grace: then not even our watchdog runs, and a timer in C ends it


@dataclass(frozen=True, slots=True)
class Plan:
    """What the parent knows before it forks."""

    settings: Settings
    registry: Registry
    owner: str
    parent_pid: int
    limit: HorseLimit


_plan: Plan | None = None
_interrupted = threading.Event()


def prepare(plan: Plan) -> None:
    """In the parent: what the horses to come will need."""
    global _plan
    _plan = plan


def interrupt() -> None:
    """In the horse: the worker is stopping; give the delivery back."""
    _interrupted.set()


def run(delivery_id: str) -> bool:
    """Claim and run this delivery; False when there was nothing to claim (the bell rang twice)."""
    if _plan is None:
        raise RuntimeError("run_isolated runs in a worker started by jobs.worker --isolated")
    die_with_parent(_plan.parent_pid)
    rt = build_runtime(_plan.settings)
    try:
        claimed = _claim(rt, delivery_id, _plan.owner)
        if claimed is None:
            return False
        _run(rt, claimed, _plan)
        return True
    finally:
        rt.close()


def _claim(rt: Runtime, delivery_id: str, owner: str) -> Claimed | None:
    lease = timedelta(seconds=rt.settings.lease_s)
    with rt.db.write() as conn:
        return deliveries.claim_one(conn, delivery_id=delivery_id, owner=owner, now=rt.clock(), lease=lease)


def _run(rt: Runtime, claimed: Claimed, plan: Plan) -> None:
    held_limit = claimed.timeout.total_seconds() + GRACE_S + HELD_MARGIN_S
    engine = Engine(rt, plan.registry, plan.owner, concurrency=1)
    engine.watchdog.allow_held(held_limit, from_now_on=False)  # it has one delivery to run, then it ends
    engine.flights.on_extended = lambda flight: _follow(engine, plan.limit, flight)
    engine.start()
    engine.take([claimed])
    while not engine.flights.wait_until_empty(0.2) and not _interrupted.is_set():
        pass
    engine.stop(grace_s=0)


def _follow(engine: Engine, limit: HorseLimit, flight: Flight) -> None:
    """A later deadline: what would end this process beyond the old one waits for the new one."""
    left = max(0.0, flight.deadline - time.monotonic())
    engine.watchdog.move_held(left + GRACE_S + HELD_MARGIN_S)
    limit.move(flight.deadline)


def die_with_parent(parent_pid: int) -> None:
    """SIGKILL for us when the parent is gone; at once if it went before we asked. Linux only, elsewhere leases do it."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    except (OSError, AttributeError):
        return
    if os.getppid() != parent_pid:
        os._exit(1)
