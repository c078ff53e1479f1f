"""What can happen to a hub. Each fault strikes once and says when it is over; those that do not last are over at once."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import redis

from tests.chaos.site import HORSE, ISOLATED, SHARED, NothingToHit, Site, send, thaw


@dataclass(frozen=True, slots=True)
class Blow:
    """A fault that has struck: for how long, how to end it, how many processes it hit."""

    hit: int
    seconds: float = 0.0
    undo: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """``slows_rescue``: the rescuer or the database is gone for a while, so a rescue meanwhile is a double fault."""

    name: str
    strike: Callable[[Site, Random], Blow]
    kills: bool = False
    slows_rescue: bool = False
    needs: str = ""  # "postgres" or "disk"


def kill(kind: str, everyone: bool = False) -> Callable[[Site, Random], Blow]:
    """SIGKILL to one process of a kind (of workers, the busiest), or to all of them."""

    def strike(site: Site, random: Random) -> Blow:
        chosen = site.pids(kind)
        if not everyone:
            chosen = [site.busiest() if kind == SHARED else random.choice(chosen)]
        owners = [site.owner(pid, kind) for pid in chosen]
        moments = [send(pid, signal.SIGKILL) for pid in chosen]
        if kind in {SHARED, ISOLATED, HORSE}:
            for owner, at in zip(owners, moments, strict=True):
                site.note_orphans(owner, at)
        return Blow(len(chosen))

    return strike


def freeze(kind: str, low_s: float, high_s: float) -> Callable[[Site, Random], Blow]:
    """SIGSTOP to all processes of a kind but, of workers, to the busiest one; SIGCONT a while later."""

    def strike(site: Site, random: Random) -> Blow:
        chosen = [site.busiest()] if kind == SHARED else site.pids(kind)
        seconds = random.uniform(low_s, high_s)
        for pid in chosen:
            with contextlib.suppress(NothingToHit):
                at = send(pid, signal.SIGSTOP)
                if seconds > site.hub.settings.lease_s:  # it will be taken for dead
                    site.note_orphans(pid, at)
        return Blow(len(chosen), seconds, lambda: thaw(chosen))

    return strike


def freeze_past_lease(site: Site, random: Random) -> Blow:
    """A worker that is taken for dead, and comes back when its work is somebody else's."""
    return freeze(SHARED, 1.2 * site.hub.settings.lease_s, 1.5 * site.hub.settings.lease_s)(site, random)


def flush_redis(site: Site, _random: Random) -> Blow:
    """Redis forgets everything."""
    try:
        with redis.Redis.from_url(site.hub.settings.redis_url, socket_timeout=1) as client:
            client.flushall()
    except redis.RedisError:
        raise NothingToHit("redis") from None
    return Blow(0)


def stop_postgres(sig: int) -> Callable[[Site, Random], Blow]:
    """PostgreSQL goes down, and comes back a moment later."""

    def strike(site: Site, random: Random) -> Blow:
        assert site.postgres is not None
        site.postgres.stop(sig)
        return Blow(1, random.uniform(0.2, 2.0), site.postgres.start)

    return strike


def fill_disk(site: Site, random: Random) -> Blow:
    """Not one byte is left on the file system of the database."""
    assert site.disk is not None
    filler = site.disk / "filler"
    with contextlib.suppress(OSError):
        handle = os.open(filler, os.O_WRONLY | os.O_CREAT)
        with contextlib.closing(os.fdopen(handle, "wb", buffering=0)) as file:
            while True:
                file.write(bytes(65_536))
    return Blow(0, random.uniform(1.0, 3.0), lambda: filler.unlink(missing_ok=True))


FAULTS = (
    Fault("kill a busy worker", kill(SHARED), kills=True),
    Fault("kill all workers", kill(SHARED, everyone=True), kills=True),
    Fault("kill the isolated worker", kill(ISOLATED), kills=True),
    Fault("kill a horse", kill(HORSE), kills=True),
    Fault("freeze a busy worker past its lease", freeze_past_lease, slows_rescue=True),
    Fault("freeze a busy worker for a moment", freeze(SHARED, 0.3, 2.0), slows_rescue=True),
    Fault("kill the web", kill("web", everyone=True)),
    Fault("freeze the web", freeze("web", 0.3, 2.0), slows_rescue=True),
    Fault("kill the beat", kill("beat"), slows_rescue=True),
    Fault("freeze the beat", freeze("beat", 1.0, 6.0), slows_rescue=True),
    Fault("flush Redis", flush_redis),
    Fault("kill Redis", kill("redis")),
    Fault("hang Redis", freeze("redis", 0.5, 3.0)),
    Fault("restart PostgreSQL, fast", stop_postgres(signal.SIGINT), slows_rescue=True, needs="postgres"),
    Fault("restart PostgreSQL, immediate", stop_postgres(signal.SIGQUIT), slows_rescue=True, needs="postgres"),
    Fault("kill PostgreSQL", stop_postgres(signal.SIGKILL), slows_rescue=True, needs="postgres"),
    Fault("fill the disk", fill_disk, slows_rescue=True, needs="disk"),
)


def possible(site: Site, words: str) -> list[Fault]:
    """The faults that can happen here; of them, those whose name has one of the comma-separated words in it."""
    there = {"": True, "postgres": site.postgres is not None, "disk": site.disk is not None}
    wanted = [word.strip().lower() for word in words.split(",") if word.strip()]
    return [
        fault
        for fault in FAULTS
        if there[fault.needs] and (not wanted or any(word in fault.name.lower() for word in wanted))
    ]
