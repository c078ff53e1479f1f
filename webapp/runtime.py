"""The fuse box: everything a use case needs, built once per process and passed in."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from webapp.domain.ids import NOISE_CHARS, IdMaker
from webapp.live import Publisher, RedisPublisher
from webapp.queue import Doorbell, RedisDoorbell
from webapp.settings import Settings
from webapp.store.engine import Database


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Runtime:
    """Settings, database, doorbell, live publisher, clock and dice. Services take it as their first argument."""

    settings: Settings
    db: Database
    queue: Doorbell
    live: Publisher
    clock: Callable[[], datetime] = _utc_now
    roll: Callable[[], float] = random.random  # in [0, 1), for jitter
    noise: Callable[[int], bytes] = random.randbytes  # ids are no secrets; reseeded in a forked child
    ids: IdMaker = field(default_factory=IdMaker)

    def new_id(self, prefix: str) -> str:
        """A fresh sortable id of that kind, for example ``evt_…``."""
        return self.ids.make(prefix, int(self.clock().timestamp() * 1000), self.noise(NOISE_CHARS))

    def close(self) -> None:
        """Flush what is still to be told and close connections."""
        self.live.close()
        self.queue.close()
        self.db.dispose()


def build_runtime(settings: Settings) -> Runtime:
    """The real thing. Call it in the process that uses it: nothing in it may cross a fork."""
    return Runtime(
        settings=settings,
        db=Database(settings.database_url),
        queue=RedisDoorbell(settings.redis_url),
        live=RedisPublisher(settings.redis_url),
    )
