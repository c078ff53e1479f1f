"""Health, readiness and the numbers for Prometheus."""

from __future__ import annotations

from collections import Counter

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from tests.support import factories as make
from tests.support.clock import Clock
from tests.support.people import Person, Program, add_program
from webapp.app import create_app
from webapp.domain.histogram import bucket_of
from webapp.queue import RecordingDoorbell
from webapp.runtime import Runtime
from webapp.store import tables
from webapp.store.counters import minute_of, raise_counts


def numbers(program: Program | Person) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = program.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_metrics_count_what_happened(rt: Runtime, clock: Clock) -> None:
    api = add_program(create_app(runtime=rt), "admin")
    subscription = make.make_subscription(rt, name='Orders "quoted"\n')
    dead = make.make_delivery(rt, subscription_id=subscription, state="dead")
    make.make_delivery(rt, subscription_id=subscription)
    minute = minute_of(clock())
    with rt.db.write() as conn:
        raise_counts(
            conn,
            Counter(
                {
                    (minute, subscription, "succeeded", 0): 3,
                    (minute - 60, subscription, "succeeded", 0): 4,
                    (minute, subscription, "run", bucket_of(0.2)): 7,
                    (minute, "sub_unknown", "dead", 0): 1,
                }
            ),
        )
    for n in range(2):
        api.post("/api/v1/events", {"type": "user.created", "id": "u-1", "source": f"s{n % 1}"})
    clock.advance(seconds=30)
    found = numbers(api)
    by = ("subscription", subscription)
    assert found["signalbox_events_total", (("result", "accepted"),)] == 1
    assert found["signalbox_events_total", (("result", "duplicate"),)] == 1
    assert found["signalbox_deliveries_total", (("outcome", "succeeded"), by)] == 7
    assert found["signalbox_deliveries_total", (("outcome", "dead"), ("subscription", "other"))] == 1
    assert found["signalbox_attempt_duration_seconds_count", (by,)] == 7
    assert found["signalbox_attempt_duration_seconds_bucket", (("le", "0.25"), by)] == 7
    assert found["signalbox_attempt_duration_seconds_bucket", (("le", "0.1"), by)] == 0
    assert found["signalbox_attempt_duration_seconds_sum", (by,)] == pytest.approx(1.4, rel=0.06)
    assert found["signalbox_lane_depth", (("lane", "default"),)] == 2
    assert found["signalbox_lane_oldest_waiting_seconds", (("lane", "default"),)] == 30
    assert found["signalbox_dead_deliveries", ()] == 1
    assert found["signalbox_subscription_info", (("name", 'Orders "quoted"\n'), by)] == 1
    assert dead


def test_metrics_never_go_back_while_the_process_lives(
    app: Flask, api: Program, sqlite_rt: Runtime, clock: Clock
) -> None:
    key = ("signalbox_events_total", (("result", "accepted"),))
    api.post("/api/v1/events", {"type": "a"})
    assert numbers(api)[key] == 1
    clock.advance(minutes=30)
    api.post("/api/v1/events", {"type": "a"})
    assert numbers(api)[key] == 2
    with sqlite_rt.db.write() as conn:
        conn.execute(tables.counters.delete().where(tables.counters.c.minute < minute_of(clock()) - 10))
    assert numbers(api)[key] == 2


def test_metrics_time_requests_by_endpoint_and_never_by_path(api: Program, as_viewer: Person) -> None:
    for n in range(3):
        api.get(f"/api/v1/events/secret-{n}")
        api.get(f"/nothing-{n}")
    found = numbers(as_viewer)
    labels = (("endpoint", "api.show_event"), ("method", "GET"), ("status", "4xx"))
    assert found["signalbox_http_request_duration_seconds_count", labels] == 3
    assert "secret" not in str(found)
    assert "nothing" not in str(found)


def test_metrics_need_a_reader(app: Flask, as_publisher: Program) -> None:
    assert app.test_client().get("/metrics").status_code == 401
    assert as_publisher.get("/metrics").status_code == 403


def test_readiness_tells_what_is_missing(app: Flask, sqlite_rt: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    client = app.test_client()
    assert client.get("/readyz").json == {
        "status": "ok", "checks": {"database": "ok", "migrations": "ok", "redis": "ok"},
    }  # fmt: skip
    assert isinstance(sqlite_rt.queue, RecordingDoorbell)
    monkeypatch.setattr(sqlite_rt.queue, "is_alive", lambda: False)
    degraded = client.get("/readyz")
    assert (degraded.status_code, degraded.json["status"]) == (200, "degraded")  # type: ignore[index]
    with sqlite_rt.db.write() as conn:
        conn.exec_driver_sql("DELETE FROM alembic_version")
    behind = client.get("/readyz")
    assert (behind.status_code, behind.json["status"]) == (503, "failing")  # type: ignore[index]
    assert "migrate" in behind.json["checks"]["migrations"]  # type: ignore[index]
    assert client.get("/healthz").json == {"status": "ok"}
