"""The doorbell. The only place in webapp that knows RQ; what is rung carries a lane, never data.

Losing Redis costs time, never work: the rows in SQL are the queue, and the beat rings again.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue

log = logging.getLogger(__name__)

DRAIN = "jobs.tasks.drain"
RUN_ISOLATED = "jobs.tasks.run_isolated"
ISOLATED = "isolated"  # the lane whose deliveries run one by one in forked processes
FLAG_TTL_S = 5  # a bell that nobody answered may be rung again after this
DRAIN_LIMIT_S = 3600
ISOLATED_START_S = 60  # until a forked process has something to run, which has a limit of its own
ISOLATED_MARGIN_S = 15  # RQ ends a forked job this long after its time limit: by then everything else has failed
BURST_S = 0.01  # between two rings of those who do not wait
FLOOD_S = 0.08  # the same while they keep ringing: workers are awake, and a ring costs what several accepts cost
BREAKER_S = 2.0  # Redis failed: do not ask again for this long


def queue_name(lane: str) -> str:
    """The RQ queue of a lane. One queue per worker process: RQ loses jobs between several."""
    return f"signalbox-{lane}"


class Doorbell(Protocol):
    """Rings workers. Never raises; answers whether the bell could be rung."""

    def ring(self, lane: str) -> bool: ...

    def ring_soon(self, lane: str) -> None: ...

    def answer(self, lane: str) -> None: ...

    def is_alive(self) -> bool: ...

    def close(self) -> None: ...


class RecordingDoorbell:
    """Keeps what was rung in a list, for tests."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    def ring(self, lane: str) -> bool:
        self.rung.append(lane)
        return True

    def ring_soon(self, lane: str) -> None:
        self.rung.append(lane)

    def answer(self, lane: str) -> None:
        return None

    def is_alive(self) -> bool:
        return True

    def close(self) -> None:
        return None


class RedisDoorbell:
    """One RQ job per lane at a time, held back by a ``SET NX`` flag that the drain takes down when it starts."""

    def __init__(self, redis_url: str) -> None:
        # redis-py's defaults block for up to 59 s on a hung server; accepting must not.
        self._redis = redis.Redis.from_url(
            redis_url, socket_timeout=0.25, socket_connect_timeout=0.25, retry=Retry(NoBackoff(), 0)
        )
        self._queues: dict[str, Queue] = {}
        self._quiet_until = 0.0
        self._wanted: set[str] = set()
        self._want = threading.Event()
        self._lock = threading.Lock()
        self._ringer: threading.Thread | None = None
        self._closed = False

    def ring(self, lane: str) -> bool:
        """Ask for a drain of ``lane`` unless one is already asked for."""
        return self._guarded(lambda: self._ring(lane))

    def ring_soon(self, lane: str) -> None:
        """The same from a thread of its own: who accepts events never waits for Redis, and a burst costs one ring."""
        with self._lock:
            self._wanted.add(lane)
            if self._ringer is None:  # born after the fork that made this process
                self._ringer = threading.Thread(target=self._ring_wanted, name="doorbell", daemon=True)
                self._ringer.start()
                atexit.register(self.close)  # a program that publishes and ends still rings
        self._want.set()

    def answer(self, lane: str) -> None:
        """Take the flag of a lane down: from here on it may be rung again."""
        self._guarded(lambda: self._redis.delete(flag_of(lane)))

    def is_alive(self) -> bool:
        """Whether Redis answers now."""
        try:
            return bool(self._redis.ping())
        except redis.RedisError:
            return False

    def close(self) -> None:
        """Ring what is still to be rung, then let go of Redis."""
        self._closed = True
        self._want.set()
        if self._ringer is not None:
            atexit.unregister(self.close)
            self._ringer.join(timeout=1)
        self._redis.close()

    def _ring_wanted(self) -> None:
        pause_s = BURST_S
        while not self._closed:
            pause_s = min(2 * pause_s, FLOOD_S) if self._want.is_set() else BURST_S
            self._want.wait()
            self._want.clear()
            with self._lock:
                lanes, self._wanted = self._wanted, set()
            for lane in lanes:
                self.ring(lane)
            if not self._closed:
                time.sleep(pause_s)

    def _ring(self, lane: str) -> None:
        """Flag and job in one transaction: a flag without a job would hold back the bell until it lapses.

        Two who ring at once may leave two jobs behind one flag. The second finds nothing to do.
        """
        flag = flag_of(lane)
        if self._redis.exists(flag):
            return
        task, limit_s = (RUN_ISOLATED, ISOLATED_START_S) if lane == ISOLATED else (DRAIN, DRAIN_LIMIT_S)
        both = self._redis.pipeline(transaction=True)
        self._queue(lane).enqueue(task, lane, job_timeout=limit_s, result_ttl=0, failure_ttl=3600, pipeline=both)
        both.set(flag, 1, nx=True, ex=FLAG_TTL_S)
        both.execute()

    def _queue(self, lane: str) -> Queue:
        if lane not in self._queues:
            self._queues[lane] = Queue(queue_name(lane), connection=self._redis, serializer="json")
        return self._queues[lane]

    def _guarded(self, ring: Callable[[], object]) -> bool:
        if time.monotonic() < self._quiet_until:
            return False
        try:
            ring()
        except redis.RedisError as error:
            self._quiet_until = time.monotonic() + BREAKER_S
            log.warning("Redis does not answer, the beat will ring again: %s", error, extra={"action": "ring_failed"})
            return False
        return True


def flag_of(lane: str) -> str:
    """The key that says: this lane is rung for, and nobody has answered yet."""
    return f"signalbox:rung:{lane}"
