"""Redis is flushed, killed, restarted and hung; nothing is lost, for nothing was kept there."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from tests.support.servers import dies_with_us, pings, redis_binary, short_directory, wait_until
from tests.support.workers import Crew, crew_of
from webapp.live import RedisPublisher
from webapp.queue import RedisDoorbell
from webapp.runtime import Runtime

pytestmark = pytest.mark.slow


class Server:
    """A Redis that can be killed."""

    def __init__(self, home: Path) -> None:
        self.socket = home / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.start()

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [redis_binary(), "--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.socket.parent), "--save", ""],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=dies_with_us(signal.SIGKILL),
        )  # fmt: skip
        with redis.Redis.from_url(self.url) as client:
            wait_until(lambda: pings(client), 10, "Redis answers")

    def flush(self) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def server() -> Iterator[Server]:
    with short_directory() as home:
        server = Server(home)
        yield server
        server.kill()


@pytest.fixture
def crew(live_sqlite_rt: Runtime, server: Server, tmp_path: Path) -> Iterator[Crew]:
    rt = live_sqlite_rt
    rt.queue.close()
    rt.settings = replace(rt.settings, redis_url=server.url)
    rt.queue, rt.live = RedisDoorbell(server.url), RedisPublisher(server.url)
    with crew_of(rt, tmp_path) as crew:
        crew.subscribe("t.ok")
        crew.subscribe("t.slow-alone")
        yield crew


def test_nothing_is_lost_when_redis_is_flushed_under_load(crew: Crew, server: Server) -> None:
    crew.worker()
    crew.worker("--isolated")
    crew.beat()
    sent = []
    for n in range(40):
        sent.append(crew.send("t.ok"))
        if n % 5 == 0:
            sent.append(crew.send("t.slow-alone", seconds=0))
        if n % 4 == 0:
            server.flush()
    for accepted in sent:
        crew.wait_for(accepted, "succeeded", 30)
        assert [a.outcome for a in crew.attempts(accepted)] == ["succeeded"]


def test_work_that_was_accepted_while_redis_was_dead_is_done_when_it_is_back(crew: Crew, server: Server) -> None:
    worker, alone, beat = crew.worker(), crew.worker("--isolated"), crew.beat()
    crew.wait_for(crew.send("t.ok"), "succeeded")
    server.kill()
    sent = [crew.send("t.ok") for _ in range(5)] + [crew.send("t.slow-alone", seconds=0)]
    assert all(process.poll() is None for process in (worker, alone, beat))
    server.start()
    for accepted in sent:
        crew.wait_for(accepted, "succeeded", 15)
    assert all(process.poll() is None for process in (worker, alone, beat))


def test_worker_that_started_without_redis_works_when_it_is_there(crew: Crew, server: Server) -> None:
    server.kill()
    worker = crew.worker()
    crew.beat()
    accepted = crew.send("t.ok")
    server.start()
    crew.wait_for(accepted, "succeeded", 15)
    assert worker.poll() is None


def test_running_handler_keeps_its_lease_while_redis_hangs(crew: Crew, server: Server) -> None:
    crew.subscribe("t.slow")
    worker = crew.worker()
    crew.beat()
    accepted = crew.send("t.slow", seconds=5)
    crew.wait_for(accepted, "running")
    os.kill(server.process.pid, signal.SIGSTOP)
    crew.wait_for(accepted, "succeeded", 15)
    assert [a.outcome for a in crew.attempts(accepted)] == ["succeeded"]
    worker.terminate()
    assert worker.wait(8) == 0, "a hanging Redis does not keep the worker from ending"


def test_foreign_job_in_the_queue_is_not_run_and_does_not_stop_the_worker(
    crew: Crew, server: Server, tmp_path: Path
) -> None:
    worker = crew.worker()
    crew.beat()
    from rq import Queue

    with redis.Redis.from_url(server.url) as client:
        queue = Queue("signalbox-default", connection=client, serializer="json")
        queue.enqueue("os.mkdir", str(tmp_path / "owned"))
        job = queue.enqueue("jobs.tasks.drain", "default")
        client.hset(job.key, "status", "bogus")
        client.hset(job.key, "created_at", "garbage")
        crew.wait_for(crew.send("t.ok"), "succeeded", 15)
    assert not (tmp_path / "owned").exists()
    assert worker.poll() is None
