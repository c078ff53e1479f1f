"""What the web process answers: single-event POSTs over 32 keep-alive connections, beside a bare route.

Both run under the same gunicorn settings, one at a time and in turn, so that noise of the machine meets both.
The hub's events are really stored (SQLite, synchronous=FULL) with one delivery and one audit entry each.
"""

from __future__ import annotations

import json
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench import load
from tests.support.factories import make_subscription
from tests.support.hub import free_port
from tests.support.servers import dies_with_us, private_postgres, private_redis, short_directory, wait_until
from webapp.domain.access import SYSTEM
from webapp.runtime import build_runtime
from webapp.settings import Settings
from webapp.store.migrate import upgrade

ROOT = Path(__file__).resolve().parent.parent
CONNECTIONS = 32
EVENT = {"type": "order.created", "source": "shop", "payload": {"order": 1042, "amount": 129.5, "items": ["a", "b"]}}


@dataclass
class Web:
    """One side of the comparison and what was measured of it."""

    label: str
    port: int
    request: bytes
    rates: list[float] = field(default_factory=list)
    lone_ms: float = 0.0
    busy: float = 0.0  # of the load generator: near 1 it would be the bottleneck
    refused: int = 0


def measure(rounds: int, seconds: float, postgres: bool = False) -> list[Web]:
    """The hub and the bare route, in alternation."""
    with ExitStack() as stack:
        home = stack.enter_context(short_directory())
        redis_url = stack.enter_context(private_redis())
        settings = Settings(var_dir=home, redis_url=redis_url, log_level="warning").resolved()
        if postgres:
            cluster = stack.enter_context(private_postgres(durable=True))
            settings = replace(settings, database_url=cluster.create("signalbox"))
        key = _prepared(settings)
        sides = [
            stack.enter_context(_serving("Signalbox: stored, routed, audited", settings, "wsgi:app", key)),
            stack.enter_context(_serving("bare route: parse, answer", settings, "bench.bare:app", key)),
        ]
        for side in sides:
            load.run(side.port, side.request, CONNECTIONS, 1.0)  # warm
            side.lone_ms = statistics.median(load.lone_latencies(side.port, side.request, 150)) * 1000
        for turn in range(rounds):
            for side in sides if turn % 2 else reversed(sides):
                _run_once(side, seconds)
        return sides


def _run_once(side: Web, seconds: float) -> None:
    done = load.run(side.port, side.request, CONNECTIONS, seconds)
    side.rates.append(done.statuses[202] / done.seconds)
    side.refused += sum(done.statuses.values()) - done.statuses[202]
    side.busy = max(side.busy, done.busy)


def _prepared(settings: Settings) -> str:
    """A migrated database with one matching subscription; gives an API key."""
    from webapp.services.accounts import create_key

    upgrade(settings.database_url)
    rt = build_runtime(settings)
    try:
        make_subscription(rt, pattern="order.*")
        return create_key(rt, SYSTEM, "bench", "publisher")[1]
    finally:
        rt.close()


@contextmanager
def _serving(label: str, settings: Settings, app: str, key: str) -> Iterator[Web]:
    port = free_port()
    env = {"PATH": "/usr/bin:/bin"} | replace(settings, port=port).to_env()
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", app]
    server = subprocess.Popen(command, cwd=ROOT, env=env, preexec_fn=dies_with_us(signal.SIGTERM))
    body = json.dumps(EVENT).encode()
    request = load.request_bytes("/api/v1/events", body, {"Authorization": f"Bearer {key}"})
    try:
        wait_until(lambda: server.poll() is not None or _answers(port, request), 30, label)
        yield Web(label, port, request)
    finally:
        server.terminate()
        server.wait()


def _answers(port: int, request: bytes) -> bool:
    try:
        load.lone_latencies(port, request, 1)
    except OSError:
        return False
    return True
