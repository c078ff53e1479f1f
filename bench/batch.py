"""What the web process accepts in batches: 1,000 events a request over a few connections, each judged by a schema.

Beside it the rate of single events, over as many connections as ``bench http`` uses. All events are really stored, with
one delivery and one audit entry each.
"""

from __future__ import annotations

import json
import statistics
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from sqlalchemy import insert

from bench import load
from bench.web import CONNECTIONS, EVENT, Web, _serving
from tests.support.factories import make_subscription
from tests.support.servers import private_postgres, private_redis, short_directory
from webapp.domain.access import SYSTEM
from webapp.domain.jsontext import to_text
from webapp.runtime import Runtime, build_runtime
from webapp.settings import Settings
from webapp.store import tables
from webapp.store.migrate import upgrade

SIZE = 1000
SENDERS = 3  # connections that send batches
SCHEMA = {
    "type": "object",
    "required": ["order", "amount"],
    "properties": {
        "order": {"type": "integer"},
        "amount": {"type": "number", "minimum": 0},
        "items": {"type": "array", "items": {"type": "string"}},
    },
}


@dataclass
class Rates:
    """Events a second, one value per round."""

    batches: list[float] = field(default_factory=list)
    singles: list[float] = field(default_factory=list)
    lone_ms: float = 0.0  # one batch by itself
    refused: int = 0


def measure(rounds: int, seconds: float, postgres: bool = False) -> Rates:
    """Batches and single events, in alternation."""
    rates = Rates()
    with ExitStack() as stack:
        home = stack.enter_context(short_directory())
        redis_url = stack.enter_context(private_redis())
        settings = Settings(var_dir=home, redis_url=redis_url, log_level="warning").resolved()
        if postgres:
            cluster = stack.enter_context(private_postgres(durable=True))
            settings = replace(settings, database_url=cluster.create("signalbox"))
        key = _prepared(settings)
        side = stack.enter_context(_serving("batches", settings, "wsgi:app", key))
        headers = {"Authorization": f"Bearer {key}"}
        many = load.request_bytes("/api/v1/events/batch", json.dumps([EVENT] * SIZE).encode(), headers)
        load.run(side.port, many, SENDERS, 1.0)  # warm
        rates.lone_ms = statistics.median(load.lone_latencies(side.port, many, 10)) * 1000
        for _ in range(rounds):
            rates.batches.append(_rate(side, many, SENDERS, seconds, rates) * SIZE)
            rates.singles.append(_rate(side, side.request, CONNECTIONS, seconds, rates))
    return rates


def _rate(side: Web, request: bytes, connections: int, seconds: float, rates: Rates) -> float:
    done = load.run(side.port, request, connections, seconds)
    rates.refused += sum(done.statuses.values()) - done.statuses[202]
    return done.statuses[202] / done.seconds


def _prepared(settings: Settings) -> str:
    """A migrated database with one matching subscription and a schema that is asked; gives an API key."""
    from webapp.services.accounts import create_key

    upgrade(settings.database_url)
    rt = build_runtime(settings)
    try:
        make_subscription(rt, pattern="order.*")
        _declare(rt)
        return create_key(rt, SYSTEM, "bench", "publisher")[1]
    finally:
        rt.close()


def _declare(rt: Runtime) -> None:
    now, name = rt.clock(), EVENT["type"]
    times = {"created_at": now, "updated_at": now}
    row = {"name": name, "state": "declared", "owner": "", "description": "", "validation": "reject"} | times
    version = {"type": name, "version": 1, "schema": to_text(SCHEMA), "examples": [], "note": "", "created_by": "bench"}
    with rt.db.write() as conn:
        conn.execute(insert(tables.event_types), row)
        conn.execute(insert(tables.event_type_versions), version | {"created_at": now})
