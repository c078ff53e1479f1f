"""The gate as workers and the beat use it: one drain runs a whole ordered key, and the beat wakes for a throttle."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobs.beat import GATE_S, Beat
from jobs.drain import drain
from jobs.engine import Engine
from jobs.registry import load_registry
from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_event, make_subscription, rows_of
from tests.support.workers import PLUGIN
from webapp.runtime import Runtime
from webapp.services.presence import Presence
from webapp.store import tables as t


@pytest.fixture
def engine(rt: Runtime) -> Iterator[Engine]:
    engine = Engine(rt, load_registry([PLUGIN]), "worker-1")
    engine.start()
    yield engine
    engine.stop(0)


def test_one_drain_runs_an_ordered_key_to_its_end(
    engine: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.drain.LINGER_S", 10.0)  # however slow the machine is
    rt = engine.rt
    subscription = make_subscription(rt, handler="t.ok", policies={"ordering": {"key": "{data.a}"}})
    for _ in range(5):
        make_delivery(rt, make_event(rt), subscription, handler="t.ok", gated=True, order_key="a")
        clock.advance(milliseconds=1)
    assert drain(engine, "default") == 5
    assert engine.flights.wait_until_empty(15)
    attempts = sorted(rows_of(rt, t.attempts), key=lambda row: row.id)
    assert [row.outcome for row in attempts] == ["succeeded"] * 5
    assert {row.state for row in rows_of(rt, t.deliveries)} == {"succeeded"}


def test_beat_wakes_when_a_throttle_opens(sqlite_rt: Runtime, clock: Clock) -> None:
    rt = sqlite_rt
    subscription = make_subscription(rt, policies={"throttle": {"limit": 1, "period": "400ms"}})
    for _ in range(3):
        make_delivery(rt, make_event(rt), subscription, gated=True, limit_key="")
    beat = Beat(rt, Presence("beat", "beat", "here", 1, clock()))
    assert beat.wait_s() == rt.settings.sweep_s
    beat.gate()
    assert beat.wait_s() == pytest.approx(0.4)
    clock.advance(milliseconds=399)
    assert beat.wait_s() == GATE_S
    clock.advance(milliseconds=1)
    beat.gate()
    assert [row.gated for row in rows_of(rt, t.deliveries)].count(False) == 2
