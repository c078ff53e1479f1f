"""Deliveries a second of one worker process, every outcome recorded in full: ``python -m bench.engine [URL]``.

Events are stored before; then one worker process, already up, hears the bell. As with the peers the clock
starts when a tenth is done; it stops when the last delivery is recorded in SQL.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from tests.support.servers import private_redis, wait_until
from webapp.domain.intake import PLAIN
from webapp.domain.retryschema import PRESETS
from webapp.runtime import Runtime, build_runtime
from webapp.settings import Settings
from webapp.store import tables as t
from webapp.store.migrate import upgrade

ROOT = Path(__file__).resolve().parent.parent
COUNT = 20_000
CHUNK = 2_000
SUBSCRIPTIONS = 10
KEYS = 500  # ordered keys of the subscription with every policy
STEERED = {  # every policy that can stand beside the others; what intake asks is asked before these rows are there
    "priority": "high",
    "expires": "1h",
    "ordering": {"key": "{data.n}"},
    "concurrency": {"limit": 200},
    "throttle": {"limit": 1_000_000, "period": "1s"},
    "rate_limit": {"limit": 1_000_000, "period": "1h"},
    "dedupe": {"key": "{id}", "window": "1h"},
    "breaker": {"failure_rate": 0.5, "min_tries": 20},
}


def measure(database_url: str, *, steered: bool = False, n: int = COUNT) -> float:
    """Deliveries a second over ``n`` of them; with ``steered``, one of ten subscriptions has every policy."""
    with hub(database_url) as rt, worker(rt):
        return rate(rt, n, steered=steered)


@contextlib.contextmanager
def hub(database_url: str) -> Iterator[Runtime]:
    """A migrated database and a private Redis, for workers with the no-op handler."""
    with private_redis() as redis_url, tempfile.TemporaryDirectory(prefix="sbx-") as home:
        settings = Settings(var_dir=Path(home), database_url=database_url, redis_url=redis_url, handlers="bench.handler",
                            secret_key="bench-bench-bench-bench", log_level="warning")  # fmt: skip
        upgrade(settings.database_url)
        rt = build_runtime(settings)
        try:
            yield rt
        finally:
            rt.close()


def rate(rt: Runtime, n: int, *, steered: bool = False) -> float:
    """Deliveries a second of the workers that are up, over ``n`` of them."""
    seed(rt, 1000, steered=steered)
    _drained(rt)  # warm: imports, connections, caches
    seed(rt, n, steered=steered)
    seeded = rt.clock()
    _drained(rt)
    ended = rt.clock()
    began = _finished_at(rt, seeded, n // 10)
    return (n - n // 10) / (ended - began).total_seconds()


def _drained(rt: Runtime) -> None:
    end, ring_at = time.monotonic() + 120, 0.0
    while _is_open(rt):
        if time.monotonic() > ring_at:  # as the beat does
            ring_at = time.monotonic() + 1
            rt.queue.ring("default")
        time.sleep(0.02)
        assert time.monotonic() < end, "not all deliveries are recorded"


def _is_open(rt: Runtime) -> bool:
    with rt.db.read() as conn:
        due = select(t.deliveries.c.id).where(t.deliveries.c.state.in_(("pending", "running", "waiting"))).limit(1)
        return conn.execute(due).first() is not None


def _finished_at(rt: Runtime, since: datetime, n: int) -> datetime:
    """When the ``n``-th handler of this run was done."""
    done = select(t.attempts.c.finished_at).where(t.attempts.c.finished_at >= since)
    with rt.db.read() as conn:
        return conn.execute(done.order_by(t.attempts.c.finished_at).offset(n - 1).limit(1)).scalar_one()


def seed(rt: Runtime, n: int, *, steered: bool = False) -> None:
    """Events with one delivery each, as accepting leaves them."""
    now = rt.clock() - timedelta(seconds=1)
    names = [subscription(rt) for _ in range(SUBSCRIPTIONS if steered else 1)]
    if steered:
        names[0] = subscription(rt, policies=STEERED, retry=dict(PRESETS["standard"]))
    for first in range(0, n, CHUNK):
        events, deliveries = [], []
        for at in range(first, min(first + CHUNK, n)):
            uid, name = rt.new_id("evt"), names[at % len(names)]
            row = delivery_row(rt.new_id("dlv"), uid, name, "bench.noop", now)
            events.append(event_row(uid, now))
            deliveries.append(row | (_steering(at, now) if steered and name == names[0] else PLAIN))
        with rt.db.write() as conn:
            conn.execute(t.events.insert(), events)
            conn.execute(t.deliveries.insert(), deliveries)


def _steering(at: int, now: datetime) -> dict[str, Any]:
    """What the policies make of a delivery."""
    key = f"{at // SUBSCRIPTIONS % KEYS}"
    return {**PLAIN, "gated": True, "order_key": key, "limit_key": "", "priority": 0,
            "expires_at": now + timedelta(hours=1)}  # fmt: skip


def event_row(uid: str, now: datetime) -> dict[str, Any]:
    """An event with one delivery."""
    return {
        "uid": uid, "id": uid, "source": "bench", "type": "bench.noop", "version": 1, "timestamp": now,
        "received_at": now, "payload": '{"n":1}', "labels": {}, "received_by": "system:system",
        "total": 1, "open": 1,
    }  # fmt: skip


def delivery_row(id: str, event_uid: str, subscription_id: str, handler: str, now: datetime) -> dict[str, Any]:
    """A delivery that is due."""
    return {
        "id": id, "event_uid": event_uid, "subscription_id": subscription_id, "handler": handler,
        "lane": "default", "state": "pending", "due_at": now, "created_at": now,
    }  # fmt: skip


def subscription(rt: Runtime, **fields: Any) -> str:
    """A subscription of what is seeded; gives its id."""
    id, now = rt.new_id("sub"), rt.clock()
    with rt.db.write() as conn:
        conn.execute(t.subscriptions.insert(), {
            "id": id, "name": "bench", "pattern": "bench.*", "handler": "bench.noop", "options": {}, "retry": {},
            "timeout_ms": 30_000, "created_at": now, "updated_at": now,
        } | fields)  # fmt: skip
    return id


@contextlib.contextmanager
def worker(rt: Runtime) -> Iterator[None]:
    """One worker process that is up."""
    env = {**os.environ, **rt.settings.to_env(), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-m", "jobs.worker"], env=env, cwd=ROOT)
    try:
        wait_until(lambda: _is_up(rt), 30, "the worker is up")
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def _is_up(rt: Runtime) -> bool:
    with rt.db.read() as conn:
        return conn.execute(select(t.workers.c.name).limit(1)).first() is not None


def main() -> None:
    """Measure once: SQLite in a temporary directory, or the database named."""
    with tempfile.TemporaryDirectory(prefix="sbx-") as home:
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{home}/bench.db"
        print(f"{measure(url):,.0f} deliveries/s")


if __name__ == "__main__":
    main()
