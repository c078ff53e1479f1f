"""``/metrics`` for Prometheus. Counts come from SQL, so every web process tells the same; only HTTP times are per process.

Labels are bounded: never an event id, a type, a user or a raw path.
"""

from __future__ import annotations

import platform
import threading
from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Blueprint, Flask, Response, current_app
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from webapp.domain.histogram import upper_bound
from webapp.runtime import Runtime
from webapp.store import api_metrics
from webapp.store.api_metrics import CountKey, Standing
from webapp.store.counters import minute_of
from webapp.web.api.blueprint import operation
from webapp.web.auth import require
from webapp.web.edge import NOWHERE, Observe

bp = Blueprint("metrics", __name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
REGISTRY = "signalbox.metrics"
OTHER = "other"  # subscriptions beyond those that have a label of their own
SETTLED_MINUTES = 5  # minutes older than this do not change any more
EVENT_RESULTS = ("accepted", "duplicate", "unrouted", "rejected")
OUTCOMES = ("succeeded", "failed", "dead", "skipped")
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
HTTP_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


@bp.get("/metrics")
@require("read")
@operation("Metrics for Prometheus", "health", {200: "Description"}, content_type=CONTENT_TYPE.partition(";")[0])
def show() -> Response:
    """The text format."""
    registry: CollectorRegistry = current_app.extensions[REGISTRY]
    return Response(generate_latest(registry), content_type=CONTENT_TYPE)


def watch(app: Flask, rt: Runtime) -> Observe:
    """Register what is told; answers what times a request."""
    registry = CollectorRegistry()
    registry.register(HubCollector(rt))
    app.extensions[REGISTRY] = registry
    seconds = Histogram(
        "signalbox_http_request_duration_seconds",
        "Time from request to answer, of this process.",
        ("method", "endpoint", "status"),
        buckets=HTTP_BOUNDS,
        registry=registry,
    )
    known: dict[tuple[str, str, str], Any] = {}

    def observe(method: str, endpoint: str, status: str, elapsed_s: float) -> None:
        key = (method if endpoint != NOWHERE else "any", endpoint, status)
        child = known.get(key)
        if child is None:
            child = known[key] = seconds.labels(*key)
        child.observe(elapsed_s)

    return observe


class Totals:
    """Counters that only grow while this process lives, although old minutes are dropped from the table."""

    def __init__(self) -> None:
        self._settled: Tally[CountKey] = Tally()
        self._since = 0
        self._lock = threading.Lock()

    def read(self, conn: Any, now_minute: int) -> Mapping[CountKey, int]:
        """Everything counted so far."""
        with self._lock:
            border = now_minute - SETTLED_MINUTES
            if border > self._since:
                self._settled.update(api_metrics.sum_counters(conn, self._since, border))
                self._since = border
            return self._settled + Tally(api_metrics.sum_counters(conn, self._since))


class HubCollector(Collector):
    """Asks SQL when Prometheus asks us."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._totals = Totals()

    def describe(self) -> list[Metric]:
        """Nothing in advance: registering must not ask the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every family."""
        now = self._rt.clock()
        with self._rt.db.read() as conn:
            totals = self._totals.read(conn, minute_of(now))
            names = api_metrics.subscription_names(conn)
            standing = api_metrics.read_standing(conn, now)
        yield _build_info()
        yield _events(totals)
        yield _deliveries(totals, names)
        yield _times("run", "signalbox_attempt_duration_seconds", "Time that handlers ran.", totals, names)
        yield _times("wait", "signalbox_attempt_wait_seconds", "Time from being due to being started.", totals, names)
        yield _named(names)
        yield from _gauges(standing)


def _build_info() -> Metric:
    family = GaugeMetricFamily("signalbox_build_info", "What runs here.", labels=("version", "python"))
    family.add_metric(("0.1.0", platform.python_version()), 1)
    return family


def _events(totals: Mapping[CountKey, int]) -> Metric:
    family = CounterMetricFamily("signalbox_events", "Events by what became of them at the door.", labels=("result",))
    for result in EVENT_RESULTS:
        family.add_metric((result,), totals.get(("", result, 0), 0))
    return family


def _deliveries(totals: Mapping[CountKey, int], names: Mapping[str, str]) -> Metric:
    family = CounterMetricFamily("signalbox_deliveries", "Outcomes of deliveries.", labels=("subscription", "outcome"))
    found: Tally[tuple[str, str]] = Tally()
    for (subject, measure, _), n in totals.items():
        if subject and measure in OUTCOMES:
            found[subject if subject in names else OTHER, measure] += n
    for labels, n in sorted(found.items()):
        family.add_metric(labels, n)
    return family


def _times(measure: str, name: str, help_text: str, totals: Mapping[CountKey, int], names: Mapping[str, str]) -> Metric:
    """The fine buckets of the hub folded into coarse ones; a sum is an upper bound, 5 % too large at most."""
    family = HistogramMetricFamily(name, help_text, labels=("subscription",))
    counts: dict[str, list[int]] = {}
    sums: Tally[str] = Tally()
    for (subject, kind, bucket), n in totals.items():
        if kind != measure or not subject:
            continue
        label, seconds = subject if subject in names else OTHER, upper_bound(bucket)
        counts.setdefault(label, [0] * (len(BOUNDS) + 1))[bisect_left(BOUNDS, seconds)] += n
        sums[label] += n * seconds  # type: ignore[assignment]
    for label, buckets in sorted(counts.items()):
        running, cumulated = 0, []
        for bound, n in zip((*map(str, map(float, BOUNDS)), "+Inf"), buckets, strict=True):
            running += n
            cumulated.append((bound, running))
        family.add_metric((label,), cumulated, sums[label])
    return family


def _named(names: Mapping[str, str]) -> Metric:
    family = GaugeMetricFamily("signalbox_subscription_info", "Names.", labels=("subscription", "name"))
    for subscription_id, name in names.items():
        family.add_metric((subscription_id, name), 1)
    return family


def _gauges(standing: Standing) -> Iterator[Metric]:
    depth = GaugeMetricFamily("signalbox_lane_depth", "Deliveries that are due (capped at 10001).", labels=("lane",))
    oldest = GaugeMetricFamily("signalbox_lane_oldest_waiting_seconds", "Age of the oldest of them.", labels=("lane",))
    for lane, n in standing.depth.items():
        depth.add_metric((lane,), n)
        oldest.add_metric((lane,), standing.oldest[lane])
    workers = GaugeMetricFamily("signalbox_workers", "Workers seen lately.", labels=("kind", "state"))
    for labels, n in standing.workers.items():
        workers.add_metric(labels, n)
    yield from (depth, oldest, workers)
    for state, n in (("running", standing.running), ("held", standing.held), ("dead", standing.dead)):
        yield GaugeMetricFamily(f"signalbox_{state}_deliveries", f"Deliveries that are {state} (capped at 10001).", n)
