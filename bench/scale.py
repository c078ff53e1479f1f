"""What size costs: ten thousand subscriptions, a million stored deliveries, ten thousand calls under way, four workers.

Each figure is paired with the same measurement at a small size, in turn, so that noise of the machine meets both.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, select

from bench import engine
from tests.support.hub import free_port
from tests.support.servers import private_postgres, private_redis
from webapp.domain.access import SYSTEM
from webapp.domain.events import parse_event
from webapp.live import RecordingPublisher
from webapp.queue import RecordingDoorbell
from webapp.runtime import Runtime
from webapp.services.accept import Acceptor
from webapp.settings import Settings
from webapp.store import deliveries as claims
from webapp.store import tables as t
from webapp.store.engine import Database
from webapp.store.migrate import upgrade

SENDERS = 32
ACCEPTED = 4_000
CLAIMED = 20_000
BATCH = 500
LEASE = timedelta(seconds=60)


@contextlib.contextmanager
def databases() -> Iterator[dict[str, Callable[[str], str]]]:
    """By kind, a maker of empty, migrated databases that write as durably as in production."""
    with tempfile.TemporaryDirectory(prefix="sbx-") as home, private_postgres(durable=True) as cluster:
        yield {
            "SQLite": lambda name: _migrated(f"sqlite:///{home}/{name}.db"),
            "PostgreSQL": lambda name: _migrated(cluster.create(name)),
        }


def accept_rate(url: str, subscriptions: int) -> Callable[[], float]:
    """Events a second that one process accepts from 32 threads, with one of so many subscriptions matching."""
    rt = _quiet_runtime(url)
    now = rt.clock()
    rows = [_subscription(rt, f"sub_{n:010}", f"kind-{n}.*", now) for n in range(subscriptions - 1)]
    with rt.db.write() as conn:
        conn.execute(t.subscriptions.insert(), [*rows, _subscription(rt, "sub_match", "order.*", now)])
    acceptor = Acceptor(rt)
    draft = parse_event({"type": "order.created", "payload": {"n": 1}}, default_source="bench", now=now)
    acceptor.accept(draft, SYSTEM)  # the routes are loaded

    def measure() -> float:
        with ThreadPoolExecutor(SENDERS) as pool:
            begun = time.perf_counter()
            list(pool.map(lambda _: acceptor.accept(draft, SYSTEM), range(ACCEPTED)))
            return ACCEPTED / (time.perf_counter() - begun)

    return measure


def claim_rate(url: str, stored: int) -> Callable[[], float]:
    """Deliveries a second that are claimed, 500 at a time, beside so many that have ended."""
    rt = _quiet_runtime(url)
    subscription = "sub_bench"
    with rt.db.write() as conn:
        conn.execute(t.subscriptions.insert(), _subscription(rt, subscription, "bench.*", rt.clock()))
    _store(rt, subscription, stored, state="succeeded", open_=0)
    if not rt.db.is_sqlite:
        with rt.db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.exec_driver_sql("ANALYZE")

    def measure() -> float:
        _store(rt, subscription, CLAIMED, state="pending", open_=1)
        _write_back(rt)
        begun, taken = time.perf_counter(), 0
        while taken < CLAIMED:
            with rt.db.write() as conn:
                taken += len(
                    claims.claim(conn, lane="default", owner="bench", limit=BATCH, now=rt.clock(), lease=LEASE)
                )
        seconds = time.perf_counter() - begun
        with rt.db.write() as conn:
            conn.execute(delete(t.deliveries).where(t.deliveries.c.state == "running"))
        return CLAIMED / seconds

    return measure


def webhook_rate(calls: int = 20_000, answer_s: float = 1.0) -> tuple[float, int]:
    """Deliveries a second of one worker against a server that answers after a second; and the most calls at once."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    port, most = free_port(), multiprocessing.Value("i", 0)
    server = multiprocessing.Process(target=_serve_slowly, args=(port, answer_s, most), daemon=True)
    server.start()
    with contextlib.ExitStack() as stack:
        stack.callback(server.terminate)
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sbx-")))
        redis_url = stack.enter_context(private_redis())
        settings = Settings(
            var_dir=home, redis_url=redis_url, secret_key="bench-bench-bench-bench", log_level="warning",
            concurrency=10_000, claim_batch=2_000, allow_private_addresses=True,
        ).resolved()  # fmt: skip
        _migrated(settings.database_url)
        rt = stack.enter_context(_runtime(settings))
        options = {"url": f"http://127.0.0.1:{port}/"}
        row = _subscription(rt, "sub_hook", "bench.*", rt.clock()) | {"handler": "webhook", "options": options}
        with rt.db.write() as conn:
            conn.execute(t.subscriptions.insert(), row)
        stack.enter_context(engine.worker(rt))
        _store(rt, "sub_hook", calls, state="pending", open_=1, handler="webhook")
        began = time.perf_counter()
        while _open(rt):
            rt.queue.ring("default")  # as the beat does: what timed out on a busy machine is tried again
            time.sleep(0.1)
            if time.perf_counter() - began > 180:
                raise TimeoutError("not all webhooks were delivered")
        return calls / (time.perf_counter() - began), most.value


def many_workers(url: str, workers: int, n: int = 40_000) -> float:
    """Deliveries a second of so many worker processes on one PostgreSQL, no-op handler."""
    with contextlib.ExitStack() as stack:
        rt = stack.enter_context(engine.hub(url))
        for _ in range(workers):
            stack.enter_context(engine.worker(rt))
        return engine.rate(rt, n)


def _migrated(url: str) -> str:
    upgrade(url)
    return url


def _quiet_runtime(url: str) -> Runtime:
    settings = Settings(database_url=url, secret_key="bench-bench-bench-bench")
    return Runtime(settings=settings, db=Database(url), queue=RecordingDoorbell(), live=RecordingPublisher())


@contextlib.contextmanager
def _runtime(settings: Settings) -> Iterator[Runtime]:
    from webapp.runtime import build_runtime

    rt = build_runtime(settings)
    try:
        yield rt
    finally:
        rt.close()


def _subscription(rt: Runtime, id: str, pattern: str, now: Any) -> dict[str, Any]:
    return {
        "id": id, "name": id, "pattern": pattern, "handler": "log", "options": {}, "retry": {}, "timeout_ms": 30_000,
        "created_at": now, "updated_at": now,
    }  # fmt: skip


def _store(rt: Runtime, subscription: str, n: int, *, state: str, open_: int, handler: str = "log") -> None:
    now = rt.clock() - timedelta(seconds=1)
    for first in range(0, n, engine.CHUNK):
        events, rows = [], []
        for _ in range(min(engine.CHUNK, n - first)):
            uid = rt.new_id("evt")
            events.append(engine.event_row(uid, now) | {"open": open_})
            rows.append(engine.delivery_row(rt.new_id("dlv"), uid, subscription, handler, now) | {"state": state})
        with rt.db.write() as conn:
            conn.execute(t.events.insert(), events)
            conn.execute(t.deliveries.insert(), rows)


def _write_back(rt: Runtime) -> None:
    """What was just stored reaches its place on the disk, so that the claims alone are measured."""
    if rt.db.is_sqlite:
        with contextlib.closing(rt.db.engine.raw_connection()) as conn:  # bare: no checkpoint inside a transaction
            conn.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.sync()


def _open(rt: Runtime) -> bool:
    with rt.db.read() as conn:
        d = t.deliveries.c
        return bool(conn.execute(select(func.count()).where(d.state.in_(("pending", "running", "waiting")))).scalar())


def _serve_slowly(port: int, answer_s: float, most: Any) -> None:
    from aiohttp import web

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    under_way = 0

    async def answer(_request: web.Request) -> web.Response:
        nonlocal under_way
        under_way += 1
        most.value = max(most.value, under_way)
        await asyncio.sleep(answer_s)
        under_way -= 1
        return web.Response(text="ok")

    async def serve() -> None:
        app = web.Application()
        app.router.add_post("/", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=20_000).start()
        await asyncio.Event().wait()

    asyncio.run(serve())
