"""Redis is there and refuses, or answers nothing: the bell is not rung, nobody waits, nothing raises."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.support.servers import private_redis, short_directory
from webapp.live import EventChanged, RedisPublisher
from webapp.queue import ISOLATED, RedisDoorbell, flag_of


@pytest.fixture(scope="module")
def own_redis() -> Iterator[str]:
    with private_redis() as url:
        yield url


@pytest.mark.parametrize(
    ("setting", "value", "normal"),
    [("maxmemory", "1", "0"), ("min-replicas-to-write", "1", "0")],
    ids=["full", "read-only"],
)
def test_bell_gives_up_when_redis_refuses_writes_and_rings_again_after(
    own_redis: str, setting: str, value: str, normal: str
) -> None:
    with redis.Redis.from_url(own_redis) as client:
        client.flushall()
        client.config_set(setting, value)
        bell = RedisDoorbell(own_redis)
        assert not bell.ring("default")
        assert not bell.ring(ISOLATED)
        bell.close()
        client.config_set(setting, normal)
        bell = RedisDoorbell(own_redis)
        assert bell.ring("default")
        assert bell.ring(ISOLATED)
        assert client.llen("rq:queue:signalbox-default") == 1
        bell.close()


def test_bell_that_could_not_be_rung_leaves_no_flag_that_holds_back_the_next(own_redis: str) -> None:
    with redis.Redis.from_url(own_redis) as client:
        client.flushall()
        client.execute_command("ACL", "SETUSER", "default", "-rpush", "-lpush")
        bell = RedisDoorbell(own_redis)
        assert not bell.ring(ISOLATED)
        bell.close()
        client.execute_command("ACL", "SETUSER", "default", "+@all")
        assert not client.exists(flag_of(ISOLATED))
        bell = RedisDoorbell(own_redis)
        assert bell.ring(ISOLATED)
        assert bell.ring(ISOLATED)
        assert client.llen("rq:queue:signalbox-isolated") == 1
        bell.close()


def test_bell_and_facts_give_up_when_redis_hangs() -> None:
    with short_directory() as home, _deaf(home) as url:
        bell = RedisDoorbell(url)
        assert not bell.ring("default")
        assert not bell.is_alive()
        bell.close()
        live = RedisPublisher(url)
        live.tell(EventChanged("evt_1", "processing"))
        live.close()


def test_bell_is_not_asked_again_at_once_after_redis_failed(own_redis: str, tmp_path: Path) -> None:
    bell = RedisDoorbell(f"unix://{tmp_path}/nobody.sock")
    assert not bell.ring("default")
    bell._redis = redis.Redis.from_url(own_redis)
    assert not bell.ring("default"), "the breaker is open"
    bell._quiet_until = 0.0
    bell.ring("default")
    bell.close()


class _deaf:
    """A server that takes connections and says nothing, as a frozen Redis does."""

    def __init__(self, home: Path) -> None:
        self._path = home / "deaf.sock"

    def __enter__(self) -> str:
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(self._path))
        self._server.listen(16)
        self._taken: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()
        return f"unix://{self._path}"

    def _take(self) -> None:
        while True:
            try:
                self._taken.append(self._server.accept()[0])
            except OSError:
                return

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for one in self._taken:
            one.close()
