"""The no-op of every peer and its worker: ``python -m bench.noop PEER REDIS_URL``. Each as its manual has it."""

from __future__ import annotations

import sys
from typing import Any


def noop(n: int) -> int:
    """The whole work."""
    return n


def celery_app(url: str) -> tuple[Any, Any]:
    """A Celery application with Redis as broker and for results."""
    from celery import Celery

    socket = url.removeprefix("unix://").partition("?")[0]
    address = f"redis+socket://{socket}?virtual_host=0"
    app = Celery("bench", broker=address, backend=address)
    app.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)
    return app, app.task(noop, name="noop")


def dramatiq_broker(url: str) -> tuple[Any, Any]:
    """A Dramatiq broker on Redis that stores results."""
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker
    from dramatiq.results import Results
    from dramatiq.results.backends import RedisBackend

    broker = RedisBroker(url=url)
    broker.add_middleware(Results(backend=RedisBackend(url=url)))
    dramatiq.set_broker(broker)
    return broker, dramatiq.actor(noop, store_results=True)


def _work_rq(url: str, simple: bool) -> None:
    import redis
    from rq import Queue, SimpleWorker, Worker

    connection = redis.Redis.from_url(url)
    (SimpleWorker if simple else Worker)([Queue("bench", connection=connection)], connection=connection).work()


def _work_celery(url: str) -> None:
    app, _ = celery_app(url)
    app.worker_main(["worker", "--pool=solo", "--loglevel=ERROR", "--without-gossip", "--without-mingle"])


def _work_dramatiq(url: str) -> None:
    import signal

    from dramatiq import Worker

    broker, _ = dramatiq_broker(url)
    Worker(broker, worker_threads=8).start()
    signal.pause()


def main() -> None:
    """Run one peer's worker until it is killed."""
    peer, url = sys.argv[1:]
    if peer == "celery":
        _work_celery(url)
    elif peer == "dramatiq":
        _work_dramatiq(url)
    else:
        _work_rq(url, simple=peer == "rq-simple")


if __name__ == "__main__":
    main()
