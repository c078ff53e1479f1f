"""The doorbell: rung once for many, never waited for, and not forgotten when the program ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import redis

from webapp.queue import RedisDoorbell, queue_name

ROOT = Path(__file__).parents[2]


def rung(redis_url: str, lane: str = "default") -> int:
    with redis.Redis.from_url(redis_url) as client:
        return int(client.llen(f"rq:queue:{queue_name(lane)}"))


def test_ring_asks_once_until_it_is_answered(redis_url: str) -> None:
    bell = RedisDoorbell(redis_url)
    assert bell.ring("default")
    assert bell.ring("default")
    assert rung(redis_url) == 1
    bell.answer("default")
    bell.ring("default")
    assert rung(redis_url) == 2
    bell.close()


def test_ring_soon_is_done_when_the_bell_is_closed(redis_url: str) -> None:
    bell = RedisDoorbell(redis_url)
    bell.ring_soon("default")
    bell.close()
    assert rung(redis_url) == 1


def test_ring_soon_is_done_when_the_program_ends_at_once(redis_url: str) -> None:
    program = f"from webapp.queue import RedisDoorbell; RedisDoorbell({redis_url!r}).ring_soon('default')"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    assert rung(redis_url) == 1


def test_ring_gives_up_when_redis_is_not_there(tmp_path: Path) -> None:
    bell = RedisDoorbell(f"unix://{tmp_path}/nowhere.sock")
    assert not bell.ring("default")
    assert not bell.is_alive()
    bell.ring_soon("default")
    bell.close()
