"""RQ's workers with their traps closed. The only place in jobs that knows how RQ works inside.

Redis is not trusted: a job may name one of our two tasks and nothing else, and no callback or webhook that
it carries is followed. One queue per worker process: between several, RQ loses jobs.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import SimpleWorker, Worker
from rq.executions import Execution
from rq.job import Job
from rq.queue import Queue
from rq.worker import BaseWorker, WorkerStatus

from jobs import isolated
from jobs.horselimit import HorseLimit
from webapp.queue import DRAIN, ISOLATED, RUN_ISOLATED, flag_of

log = logging.getLogger(__name__)

TASKS = frozenset({DRAIN, RUN_ISOLATED})
WORKER_TTL_S = 30  # the blocking pop returns twice a minute; a dead connection is noticed soon after
GOODBYE_S = 0.5
SETTINGS: dict[str, Any] = {
    "serializer": "json",
    "worker_ttl": WORKER_TTL_S,
    "maintenance_interval": 30,
    "job_monitoring_interval": 3,
    "log_job_description": False,
    "default_result_ttl": 0,
}


class OurJob(Job):
    """A job that can only be one of ours."""

    @property
    def func(self) -> Any:
        if self.func_name not in TASKS or self.instance is not None:
            raise PermissionError(f"a job named {str(self.func_name)[:80]!r} is not one of this hub's")
        return super().func

    def restore(self, raw_data: Any) -> Any:
        restored = super().restore(raw_data)
        self._success_callback_name = self._failure_callback_name = self._stopped_callback_name = None
        self.webhooks = []
        return restored


class _Calm(BaseWorker):
    """What both kinds share: quiet logs, no remote commands, quick reconnects."""

    job_class = OurJob
    max_connection_wait_time = 5.0
    on_stop: Callable[[], None] = staticmethod(lambda: None)
    is_stopping: Callable[[], bool] = staticmethod(lambda: False)
    log_result_lifespan = False

    def bootstrap(self, *_: Any, **__: Any) -> None:
        logging.getLogger("rq.worker").setLevel(logging.WARNING)
        self.register_birth()  # type: ignore[no-untyped-call]
        self.set_state(WorkerStatus.STARTED)

    def subscribe(self) -> None:
        """No commands over pub/sub: whoever reaches Redis must not stop workers, and no thread crosses a fork."""

    def _install_signal_handlers(self) -> None:
        super()._install_signal_handlers()  # type: ignore[no-untyped-call]
        if self.is_stopping():  # the signal came while this object was being made
            self._stop_requested = True

    def handle_warm_shutdown_request(self) -> None:
        self.on_stop()

    def teardown(self) -> None:
        """Say goodbye, but do not wait for a Redis that hangs: the process may be on its way out."""
        pool = self.connection.connection_pool
        pool.disconnect()
        pool.connection_kwargs["socket_timeout"] = GOODBYE_S
        with suppress(redis.RedisError):
            super().teardown()  # type: ignore[no-untyped-call]

    def set_shutdown_requested_date(self) -> None:
        """Called in a signal handler, where Redis must not be waited for."""


class SharedWorker(_Calm, SimpleWorker):
    """Runs drains in the main thread, one at a time."""


class IsolatedWorker(_Calm, Worker):
    """Forks a horse when something is due, looks after it, and clears up behind it."""

    fork_lock: threading.Lock
    horse_limit: HorseLimit
    grace_s: float = 6.0
    on_horse: Callable[[bool], None] = staticmethod(lambda _: None)
    has_work: Callable[[], bool] = staticmethod(lambda: True)

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Answer the bell and look before the fork: a bell that rang twice then costs no process."""
        self.connection.delete(flag_of(ISOLATED))
        if _is_bell(job) and not self.has_work():
            queue.intermediate_queue.remove(job.id)
            job.delete(remove_from_queue=False)
            return
        super().execute_job(job, queue)

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        self.horse_limit.reset()
        self.on_horse(True)
        with self.fork_lock:  # no connection is open and no lock held by another thread at this moment
            super().fork_work_horse(job, queue)

    def monitor_work_horse(self, job: Job, queue: Queue, execution: Execution) -> None:
        pid = self.horse_pid
        try:
            super().monitor_work_horse(job, queue, execution)
        finally:
            with suppress(OSError):
                os.killpg(pid, signal.SIGKILL)  # processes that the handler left behind
            self.on_horse(False)

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        """Asked every few seconds while the horse runs: follow a deadline that its handler has moved."""
        if asked := self.horse_limit.seconds():
            job.timeout = max(job.timeout or 0, asked)
        super().maintain_heartbeats(job, execution)

    def handle_warm_shutdown_request(self) -> None:
        self.on_stop()
        self.horse_limit.close()
        if self.horse_pid:
            threading.Thread(target=self._end_horse, args=(self.horse_pid,), daemon=True).start()

    def setup_work_horse_signals(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: isolated.interrupt())

    def _end_horse(self, pid: int) -> None:
        """After the grace: ask it to give its delivery back, then insist."""
        for wait, sig in ((self.grace_s, signal.SIGTERM), (2.0, signal.SIGKILL)):
            end = time.monotonic() + wait
            while time.monotonic() < end:
                if self.horse_pid != pid:
                    return
                time.sleep(0.05)
            with suppress(OSError):
                os.kill(pid, sig)


def _is_bell(job: Job) -> bool:
    """Whether it asks for what is due. What cannot be read does not, and fails when it is performed."""
    try:
        return bool(job.func_name == RUN_ISOLATED)
    except Exception:  # noqa: BLE001  Redis is not trusted: anything may be in there
        return False


def connect(redis_url: str) -> redis.Redis:
    """A client of the worker's own: RQ changes its socket timeout, and redis-py's retries would hide an outage."""
    return redis.Redis.from_url(redis_url, retry=Retry(NoBackoff(), 0), socket_connect_timeout=2.0)
