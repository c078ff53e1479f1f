"""What the field does with the same work: a no-op job per delivery, its result kept in Redis, one worker process.

``measure(name)`` fills a queue, starts the peer's own worker as a process and watches how the number of
results in Redis grows. Start-up is left out for everybody: the clock runs from the first tenth to the end.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import redis

from tests.support.servers import dies_with_us, private_redis, wait_until

ROOT = Path(__file__).resolve().parent.parent
SLACK = 5  # keys that a worker adds or removes for its own bookkeeping


@dataclass(frozen=True)
class Peer:
    """How to fill its queue, and how its worker is started."""

    label: str
    jobs: int  # enough for about two seconds on a small machine
    fill: Callable[[str, int], None]
    command: tuple[str, ...]


def _fill_rq(url: str, jobs: int) -> None:
    from rq import Queue

    with redis.Redis.from_url(url) as connection:
        queue = Queue("bench", connection=connection)
        queue.enqueue_many([queue.prepare_data("bench.noop.noop", args=(n,), result_ttl=600) for n in range(jobs)])


def _fill_celery(url: str, jobs: int) -> None:
    from bench.noop import celery_app

    app, task = celery_app(url)
    for n in range(jobs):
        task.delay(n)
    app.close()


def _fill_dramatiq(url: str, jobs: int) -> None:
    from bench.noop import dramatiq_broker

    broker, actor = dramatiq_broker(url)
    for n in range(jobs):
        actor.send(n)
    broker.close()


PEERS = {
    "rq-simple": Peer("RQ SimpleWorker", 800, _fill_rq, ("bench.noop", "rq-simple")),
    "rq": Peer("RQ Worker (forks)", 200, _fill_rq, ("bench.noop", "rq")),
    "celery": Peer("Celery (solo)", 2000, _fill_celery, ("bench.noop", "celery")),
    "dramatiq": Peer("Dramatiq (8 threads)", 4000, _fill_dramatiq, ("bench.noop", "dramatiq")),
}


def measure(name: str) -> float:
    """Results per second of that peer with one worker process."""
    peer = PEERS[name]
    with private_redis() as url, redis.Redis.from_url(url) as client:
        peer.fill(url, peer.jobs)
        before = client.dbsize()
        command = [sys.executable, "-m", *peer.command, url]
        worker = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=dies_with_us(signal.SIGKILL),
        )
        try:
            return _rate(client, before, peer.jobs, worker)
        finally:
            worker.kill()
            worker.wait()


def _rate(client: redis.Redis, before: int, jobs: int, worker: subprocess.Popen[bytes]) -> float:
    def results() -> int:
        if worker.poll() is not None:
            raise RuntimeError("the peer's worker stopped")
        return int(client.dbsize()) - before

    first = wait_until(lambda: max(0, results() - jobs // 10), 60, "a tenth of the results")
    begun = time.perf_counter()
    seen = int(str(first)) + jobs // 10
    while results() < jobs - SLACK:
        time.sleep(0.005)
    return (jobs - SLACK - seen) / (time.perf_counter() - begun)
