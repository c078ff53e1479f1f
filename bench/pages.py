"""What the server spends on a page, with 100,000 events and their deliveries stored: the real app, without a network.

Every page that a person can open is asked for in turn, several times; SQLite, with the figures of a hub in use.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask

from bench import engine
from tests.support.inhabited import inhabit, readable
from tests.support.people import Person, add_person
from webapp.app import create_app
from webapp.live import RecordingPublisher
from webapp.queue import RecordingDoorbell
from webapp.runtime import Runtime
from webapp.settings import Settings
from webapp.store import tables as t
from webapp.store.engine import Database
from webapp.store.migrate import upgrade

EVENTS = 100_000
SPREAD = timedelta(days=7)  # over which they came
WORDS = "The till of the shop in Antwerp did not answer"


@dataclass(frozen=True, slots=True)
class Page:
    """One kind of page and what it took, in milliseconds."""

    rule: str
    median: float
    p95: float
    bytes: int


def measure(times: int = 9) -> list[Page]:
    """Every page, slowest first."""
    with tempfile.TemporaryDirectory(prefix="sbx-") as home:
        url = f"sqlite:///{home}/pages.db"
        upgrade(url)
        settings = Settings(var_dir=Path(home), database_url=url, secret_key="bench-bench-bench-bench")
        rt = Runtime(settings=settings, db=Database(url), queue=RecordingDoorbell(), live=RecordingPublisher())
        app = create_app(runtime=rt)
        ids = inhabit(app, WORDS)
        _fill(rt, ids["subscription_id"])
        person = add_person(app, "ada", "admin")
        found = [_measured(app, person, address, times) for address in _one_of_each(app, person, ids)]
        rt.close()
    return sorted(found, key=lambda page: -page.median)


def _fill(rt: Runtime, subscription: str) -> None:
    """Events of the last days; of a hundred deliveries one is dead, one waits, the others succeeded."""
    now = rt.clock()
    for first in range(0, EVENTS, engine.CHUNK):
        events: list[dict[str, Any]] = []
        rows: list[dict[str, Any]] = []
        for n in range(first, min(first + engine.CHUNK, EVENTS)):
            at = now - SPREAD * (1 - n / EVENTS)
            state = {0: "dead", 1: "waiting"}.get(n % 100, "succeeded")
            uid = rt.new_id("evt")
            counts = {
                "open": int(state == "waiting"),
                "failed": int(state == "dead"),
                "succeeded": int(state == "succeeded"),
            }
            events.append(engine.event_row(uid, at) | {"total": 1, "type": f"order.{n % 20}"} | counts)
            row = engine.delivery_row(rt.new_id("dlv"), uid, subscription, "log", at) | {"state": state}
            died = ("exhausted", f"Fault{n % 7}", "The till did not answer") if state == "dead" else (None, None, None)
            row |= dict(zip(("reason", "error_type", "error_message"), died, strict=True))
            rows.append(row | {"finished_at": None if state == "waiting" else at})
        with rt.db.write() as conn:
            conn.execute(t.events.insert(), events)
            conn.execute(t.deliveries.insert(), rows)


def _one_of_each(app: Flask, person: Person, ids: dict[str, str]) -> list[str]:
    """The first address of every kind that answers a whole page."""
    doors, found = app.url_map.bind("localhost"), {}
    for address in readable(app, ids):
        if "<body" in person.get(address).text:
            found.setdefault(doors.match(address)[0], address)
    return list(found.values())


def _measured(app: Flask, person: Person, address: str, times: int) -> Page:
    taken, size = [], 0
    for _ in range(times):
        begun = time.perf_counter()
        size = len(person.get(address).data)
        taken.append((time.perf_counter() - begun) * 1000)
    rule = app.url_map.bind("localhost").match(address, return_rule=True)[0].rule
    return Page(rule, statistics.median(taken), sorted(taken)[round(0.95 * (times - 1))], size)
