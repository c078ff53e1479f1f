"""Who looks at a page right now, for the others who do. Kept in Redis, for all web processes together.

A page is a sorted set: a person and a socket, and until when it is believed that they are there. Whoever says nothing
any more, a process that died, say, is gone when that time is over. Without Redis nobody is seen, and nothing else is
worse for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

log = logging.getLogger(__name__)

KEY = "signalbox:viewers:"
BELIEVED_S = 15.0  # after the last sign
BREAKER_S = 2.0  # Redis failed: do not ask again for this long
MOST = 200  # sockets of a page that are looked at


class Viewers:
    """One per process."""

    def __init__(self, redis_url: str, believed_s: float = BELIEVED_S) -> None:
        self._url, self._believed_s = redis_url, believed_s
        self._client: redis.Redis | None = None
        self._quiet_until = 0.0

    def stay(self, there: Iterable[tuple[str, str, str]]) -> None:
        """These are there: triples of page, person and socket."""
        lines = list(there)
        if not lines or self._is_quiet():
            return
        try:
            until = self._now() + self._believed_s
            with self._connected().pipeline(transaction=False) as pipe:
                for page, person, sid in lines:
                    pipe.zadd(KEY + page, {f"{person}|{sid}": until})
                    pipe.expire(KEY + page, int(self._believed_s) + 60)
                pipe.execute()
        except redis.RedisError as error:
            self._give_up(error)

    def leave(self, page: str, person: str, sid: str) -> None:
        """This socket of the person is closed."""
        if self._is_quiet():
            return
        try:
            self._connected().zrem(KEY + page, f"{person}|{sid}")
        except redis.RedisError as error:
            self._give_up(error)

    def of(self, page: str) -> frozenset[str]:
        """The people on a page; in two tabs they are there once."""
        if self._is_quiet():
            return frozenset()
        try:
            client, now = self._connected(), self._now()
            client.zremrangebyscore(KEY + page, "-inf", now)
            lines = client.zrange(KEY + page, 0, MOST - 1)
        except redis.RedisError as error:
            self._give_up(error)
            return frozenset()
        return frozenset(line.decode().partition("|")[0] for line in lines)  # type: ignore[union-attr]

    def _now(self) -> float:
        """By the clock of Redis, which all processes share."""
        seconds, micros = self._connected().time()
        return float(seconds) + float(micros) / 1e6

    def _is_quiet(self) -> bool:
        return not self._url or time.monotonic() < self._quiet_until

    def _give_up(self, error: redis.RedisError) -> None:
        self._quiet_until = time.monotonic() + BREAKER_S
        log.warning("viewers unknown, Redis does not answer: %s", error, extra={"action": "viewers_unknown"})

    def _connected(self) -> redis.Redis:
        """Built on first use, in the process that serves."""
        if self._client is None:
            self._client = redis.Redis.from_url(
                self._url, socket_timeout=0.25, socket_connect_timeout=0.25, retry=Retry(NoBackoff(), 0)
            )
        return self._client
