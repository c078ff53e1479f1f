"""The consumer as a process: it signs on, says how its sources are, and ends on SIGTERM within the grace."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.support import factories as make
from tests.support.hub import free_port
from tests.support.servers import wait_until
from tests.support.sources import ROOT
from webapp.domain.access import Actor
from webapp.domain.sources import parse_source
from webapp.runtime import Runtime
from webapp.services import sources
from webapp.store import tables, tables_inbound

pytestmark = pytest.mark.slow


def test_process_reports_its_connections_and_ends_within_the_grace(
    make_runtime: Callable[..., Runtime], sqlite_url: str, redis_url: str, operator: Actor
) -> None:
    rt = make_runtime(sqlite_url, redis_url=redis_url, allow_private_addresses=True)
    options = {"url": f"nats://127.0.0.1:{free_port()}", "stream": "S", "group": "g"}
    sources.create(rt, operator, parse_source({"name": "N", "kind": "nats", "options": options}))
    env = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}
    env |= rt.settings.to_env()
    process = subprocess.Popen([sys.executable, "-m", "jobs.consumer", "--slot", "2"], cwd=ROOT, env=env)
    try:
        wait_until(lambda: any(row.error for row in make.rows_of(rt, tables_inbound.source_connections)), 40)
        assert [row.kind for row in make.rows_of(rt, tables.workers)] == ["consumer"]
        asked = time.monotonic()
        process.terminate()
        assert process.wait(rt.settings.shutdown_grace_s + 3) == 0
        assert time.monotonic() - asked < rt.settings.shutdown_grace_s + 3
    finally:
        process.kill()
        process.wait()
    assert make.rows_of(rt, tables_inbound.source_connections) == []
    assert make.rows_of(rt, tables.workers) == []
