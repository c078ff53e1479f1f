"""How many requests a minute an API key may make, counted in Redis for all web processes together.

The window slides: what was used in the minute before counts for the part of it that is not over yet. Without Redis
nobody is limited: refusing work for want of a counter would be the worse fault.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from dataclasses import dataclass

import redis
from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from webapp.domain.errors import HubError

log = logging.getLogger(__name__)

WINDOW_S = 60
BREAKER_S = 2.0  # Redis failed: do not ask again for this long


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a limit."""

    limit: int
    left: int
    reset_s: int  # until it is full again

    @property
    def headers(self) -> dict[str, str]:
        """As draft-ietf-httpapi-ratelimit-headers writes them."""
        return {
            "RateLimit-Policy": f'"requests";q={self.limit};w={WINDOW_S}',
            "RateLimit": f'"requests";r={self.left};t={self.reset_s}',
        }


class TooManyRequests(HubError):
    """The key has used up its requests."""

    slug, status, title = "too-many-requests", 429, "Too many requests"

    def __init__(self, allowance: Allowance) -> None:
        super().__init__(f"This API key may make {allowance.limit} requests a minute. Wait {allowance.reset_s} s.")
        self.allowance, self.retry_after_s = allowance, allowance.reset_s


class RateLimiter:
    """One per process. ``spend`` never waits for long."""

    def __init__(self, redis_url: str) -> None:
        self._url = redis_url
        self._counter: SlidingWindowCounterRateLimiter | None = None
        self._quiet_until = 0.0
        self._building = threading.Lock()

    def spend(self, key_id: str, limit: int) -> Allowance | None:
        """Take one request; None when nobody counts. Raises ``TooManyRequests``."""
        if time.monotonic() < self._quiet_until:
            return None
        try:
            allowed, allowance = self._spend(key_id, limit)
        except redis.RedisError as error:
            self._quiet_until = time.monotonic() + BREAKER_S
            log.warning("Redis does not answer, nobody is limited: %s", error, extra={"action": "limit_unknown"})
            return None
        if not allowed:
            raise TooManyRequests(allowance)
        return allowance

    def _spend(self, key_id: str, limit: int) -> tuple[bool, Allowance]:
        item, counter = RateLimitItemPerMinute(limit, namespace="signalbox"), self._connected()
        allowed = counter.hit(item, key_id)
        stats = counter.get_window_stats(item, key_id)
        reset_s = min(WINDOW_S, max(1, math.ceil(stats.reset_time - time.time())))
        return allowed, Allowance(limit, stats.remaining, reset_s)

    def _connected(self) -> SlidingWindowCounterRateLimiter:
        """Built on first use, in the process that serves."""
        with self._building:
            if self._counter is None:
                pool = redis.ConnectionPool.from_url(
                    self._url, socket_timeout=0.25, socket_connect_timeout=0.25, retry=Retry(NoBackoff(), 0)
                )
                storage = RedisStorage("redis://", connection_pool=pool)
                self._counter = SlidingWindowCounterRateLimiter(storage)
            return self._counter
