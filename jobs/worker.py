"""``python -m jobs.worker [--isolated] [--burst]``: a worker process.

Redis and the database may be away when it starts or while it runs: it waits, a few seconds at a time, and
never ends for that. SIGTERM lets running handlers end within the grace, then gives the rest back.
"""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import redis

from jobs import catalog, isolated, tasks
from jobs.capture import capture
from jobs.engine import Engine
from jobs.horselimit import HorseLimit
from jobs.registry import Registry, load_registry
from jobs.rq_workers import SETTINGS, IsolatedWorker, SharedWorker, connect
from jobs.stopping import Stop, end_process
from webapp.domain.errors import HubError, Unavailable
from webapp.logs import configure_logging
from webapp.queue import ISOLATED, queue_name
from webapp.runtime import Runtime, build_runtime
from webapp.services import gatekeeper, presence
from webapp.services.presence import Presence
from webapp.settings import load_settings
from webapp.store import deliveries

log = logging.getLogger("jobs.worker")  # it runs as __main__

RETRY_S = 2.0  # Redis or the database is not there: ask again after this
HORSE_END_S = 3.0  # beyond the grace: a horse that was asked to go is made to go
HELD_MARGIN_S = 5.0  # beyond its lease a process whose interpreter is held has lost its work anyway


def main(arguments: list[str] | None = None) -> int:
    """Run until told to stop (or, with ``--burst``, until there is nothing to do)."""
    options = _options(arguments)
    settings = load_settings()
    configure_logging(settings, "isolated" if options.isolated else "worker")
    capture()
    stop = Stop()
    rt = build_runtime(settings)
    me = introduce(rt, "isolated" if options.isolated else "shared")
    registry = load_registry(settings.handler_modules)
    if _wait_until(lambda: _arrive(rt, registry, me), stop):
        run = run_isolated if options.isolated else run_shared
        run(rt, registry, me, stop, options.burst)
    rt.close()
    return 0


def introduce(rt: Runtime, kind: str) -> Presence:
    """This process, under a name that no other ever had."""
    host = socket.gethostname()
    name = f"{kind}-{host[:60]}-{os.getpid()}-{secrets.token_hex(2)}"
    return Presence(name=name, kind=kind, host=host, pid=os.getpid(), started_at=rt.clock())


def run_shared(rt: Runtime, registry: Registry, me: Presence, stop: Stop, burst: bool) -> None:
    """Drains the default lane in this process."""
    engine = Engine(rt, registry, me.name, me=me)
    engine.watchdog.allow_held(rt.settings.lease_s + HELD_MARGIN_S)
    engine.start()
    tasks.serve_with(engine)

    def begin_stop() -> None:
        engine.stopping = True
        me.state = "stopping"
        stop.ask()

    def end() -> None:
        begin_stop()
        engine.stop(rt.settings.shutdown_grace_s)
        _leave(rt, me)

    def work() -> None:
        worker = SharedWorker(
            [queue_name("default")], name=_rq_name(me), connection=connect(rt.settings.redis_url), **SETTINGS
        )
        worker.on_stop, worker.is_stopping = begin_stop, stop.asked.is_set
        worker.work(burst=burst)

    stop.then(end)
    _work_until(stop, work, burst)
    stop.finish()


def run_isolated(rt: Runtime, registry: Registry, me: Presence, stop: Stop, burst: bool) -> None:
    """Forks for what is due in the isolated lane."""
    limit = HorseLimit()
    isolated.prepare(isolated.Plan(rt.settings, registry, me.name, os.getpid(), limit))
    parent = Parent(rt, me, limit)
    parent.start()

    def work() -> None:
        worker = IsolatedWorker(
            [queue_name(ISOLATED)], name=_rq_name(me), connection=connect(rt.settings.redis_url), **SETTINGS
        )
        worker.fork_lock, worker.horse_limit = parent.fork_lock, limit
        worker.grace_s = rt.settings.shutdown_grace_s
        worker.on_horse, worker.has_work = parent.on_horse, parent.has_work
        worker.on_stop, worker.is_stopping = stop.ask, stop.asked.is_set
        worker.work(burst=burst)

    def end() -> None:
        parent.stop(rt.settings.shutdown_grace_s + HORSE_END_S)
        parent.leave()

    stop.then(end)
    _work_until(stop, work, burst)
    stop.finish()


class Parent:
    """Heartbeats of a forking worker: its row, and the lease of what its horse is running.

    Every use of the database is inside ``fork_lock`` and closes what it opened: nothing may cross the fork.
    """

    def __init__(self, rt: Runtime, me: Presence, limit: HorseLimit) -> None:
        self.fork_lock = threading.Lock()
        self._rt, self._me, self._limit = rt, me, limit
        self._has_horse = False
        self._finished = 0  # of the horses before
        self._told = "idle"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._rt.db.dispose()
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """Heartbeats until the horse is gone, then no more."""
        self._me.state = "stopping"
        end = time.monotonic() + grace_s
        while self._has_horse and time.monotonic() < end:
            time.sleep(0.02)
        self._stop.set()
        self._thread.join(timeout=2)

    def leave(self) -> None:
        """Sign off, when nobody else uses the database: a pool that is disposed of keeps others waiting for seconds."""
        with self.fork_lock:
            _leave(self._rt, self._me)

    def has_work(self) -> bool:
        """Let through what may pass its gate, then look whether anything is due. Without a database nothing is."""
        found: list[bool] = []
        self._attempt(lambda: found.append(self._is_due()))
        return any(found)

    def on_horse(self, is_there: bool) -> None:
        """A horse is about to run, or it is gone."""
        self._has_horse = is_there
        self._me.running = int(is_there)
        if self._me.state != "stopping":
            self._me.state = "busy" if is_there else "idle"
        if not is_there:
            self._finished += self._limit.ended()
            self._me.finished = self._finished
            self._attempt(lambda: self._prolong(timedelta()))  # what it still held, nobody runs

    def _is_due(self) -> bool:
        gatekeeper.open_gates(self._rt, claims_next=ISOLATED)
        with self._rt.db.read() as conn:
            return ISOLATED in deliveries.due_lanes(conn, self._rt.clock())

    def _run(self) -> None:
        while not self._stop.wait(self._rt.settings.heartbeat_s):
            self._attempt(self._beat)

    def _beat(self) -> None:
        if self._has_horse:
            self._prolong(timedelta(seconds=self._rt.settings.lease_s))
            self._me.finished = self._finished + self._limit.ended()
        presence.give_sign(self._rt, self._me, self._told)
        self._told = self._me.state

    def _prolong(self, lease: timedelta) -> None:
        with self._rt.db.write() as conn:
            deliveries.renew_all(conn, owner=self._me.name, until=self._rt.clock() + lease)

    def _attempt(self, act: Callable[[], None]) -> None:
        with self.fork_lock:
            try:
                act()
            except Unavailable:
                log.warning("no heartbeat: the database does not answer", extra={"action": "heartbeat_missed"})
            except Exception:
                log.exception("heartbeat failed", extra={"action": "heartbeat_failed"})
            finally:
                self._rt.db.dispose()


def _options(arguments: list[str] | None) -> Any:
    parser = argparse.ArgumentParser(prog="jobs.worker", description="Runs the handlers of deliveries.")
    parser.add_argument("--isolated", action="store_true", help="fork for what is due in the isolated lane")
    parser.add_argument("--burst", action="store_true", help="end when nothing is due")
    return parser.parse_args(arguments)


def _rq_name(me: Presence) -> str:
    """New for every RQ worker object: RQ refuses a name that Redis still remembers."""
    return f"{me.name}-{secrets.token_hex(2)}"


def _arrive(rt: Runtime, registry: Registry, me: Presence) -> None:
    catalog.sync(rt, registry)
    presence.arrive(rt, me)
    log.info("worker %s is ready", me.name, extra={"action": "worker_started"})


def _leave(rt: Runtime, me: Presence) -> None:
    try:
        presence.leave(rt, me)
    except HubError as error:
        log.warning("could not sign off: %s", error)
    log.info("worker %s stopped", me.name, extra={"action": "worker_stopped"})


def _wait_until(act: Callable[[], None], stop: Stop) -> bool:
    """Do it as soon as the database is there; False when asked to stop before."""
    while not stop.asked.is_set():
        try:
            act()
        except Unavailable as error:
            log.warning("waiting for the database: %s", error, extra={"action": "database_awaited"})
            stop.asked.wait(RETRY_S)
        else:
            return True
    return False


def _work_until(stop: Stop, work: Callable[[], None], burst: bool) -> None:
    """RQ's loop, started again whenever it gives up: on an outage of Redis, or on a job that it cannot read."""
    while not stop.asked.is_set():
        began = time.monotonic()
        try:
            work()
        except redis.RedisError as error:
            log.warning("Redis does not answer: %s", error, extra={"action": "redis_awaited"})
        except SystemExit:
            stop.ask()  # told twice: RQ lets go at once, what is running still gets its grace
        finally:
            stop.listen()
        if burst:
            return
        if time.monotonic() - began < RETRY_S:
            stop.asked.wait(RETRY_S)


if __name__ == "__main__":
    end_process(main())
