"""Numbers over time, from the per-minute counters: throughput, success, waiting and running times.

Every read is a range over the primary key of ``counters``, at most a week wide; the deliveries themselves
are never scanned for a chart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, literal_column, select

from webapp.domain.histogram import quantile
from webapp.store import tables as t
from webapp.store.counters import minute_of
from webapp.store.gauges import GAUGES

SUBSCRIPTIONS_SHOWN = 50
TIMES = ("wait", "run")
Histogram = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of whole slots that ends with the slot of now. Minutes count from 1970."""

    name: str
    start: int
    slots: int
    step: int  # minutes per slot
    now: int  # the minute that is still being counted

    @property
    def end(self) -> int:
        """The first minute after the window."""
        return self.start + self.slots * self.step

    @property
    def minutes(self) -> int:
        """How many minutes of it have passed, the running one included."""
        return self.now - self.start + 1

    def at(self, slot: int) -> datetime:
        """When that slot begins."""
        return datetime.fromtimestamp((self.start + slot * self.step) * 60, UTC)


RANGES = {"1h": (60, 1), "6h": (72, 5), "24h": (96, 15), "7d": (84, 120)}  # name -> slots, minutes of each


def window_of(name: str, now: datetime) -> Window:
    """The window of that name; what is not in ``RANGES`` is the hour."""
    name = name if name in RANGES else "1h"
    minute, (slots, step) = minute_of(now), RANGES[name]
    last = minute // step
    return Window(name, (last - slots + 1) * step, slots, step, minute)


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Seconds within which half, 95 % and 99 % lie; ``None`` where nothing was measured."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """What happened in one slot."""

    at: datetime
    accepted: int = 0
    succeeded: int = 0
    failed: int = 0  # tries that will be repeated
    dead: int = 0
    skipped: int = 0
    wait: Quantiles = Quantiles()
    run: Quantiles = Quantiles()
    oldest_s: float | None = None  # the longest that a due delivery had waited; None: nobody looked
    due: int | None = None  # at most
    workers: int | None = None  # at least

    @property
    def ended(self) -> int:
        """Deliveries that came to an end."""
        return self.succeeded + self.dead + self.skipped

    @property
    def success(self) -> float | None:
        """Share of what ended well, of what ended well or dead."""
        judged = self.succeeded + self.dead
        return None if judged == 0 else self.succeeded / judged


@dataclass(frozen=True, slots=True)
class Totals:
    """The same over the whole window."""

    accepted: int = 0
    duplicate: int = 0
    unrouted: int = 0
    rejected: int = 0
    succeeded: int = 0
    failed: int = 0
    dead: int = 0
    skipped: int = 0

    @property
    def ended(self) -> int:
        """Deliveries that came to an end."""
        return self.succeeded + self.dead + self.skipped

    @property
    def success(self) -> float | None:
        """Share of the deliveries that ended well, of those that ended well or dead."""
        judged = self.succeeded + self.dead
        return None if judged == 0 else self.succeeded / judged


@dataclass(frozen=True, slots=True)
class SubscriptionStats:
    """One subscription over the window."""

    id: str
    name: str
    totals: Totals
    wait: Quantiles
    run: Quantiles


@dataclass(frozen=True, slots=True)
class Performance:
    """Everything that the performance page draws."""

    window: Window
    slots: tuple[Slot, ...]
    totals: Totals
    wait: Quantiles
    run: Quantiles
    subscriptions: tuple[SubscriptionStats, ...] = field(default=())
    more_subscriptions: int = 0


def read_performance(conn: Connection, window: Window) -> Performance:
    """Series, totals and per-subscription numbers of the window, in five statements."""
    counts, times = _counts(conn, window), _times(conn, window)
    by_subject = _times_by_subject(conn, window)
    subjects, more = _subscriptions(conn, window, by_subject)
    return Performance(
        window,
        _slots(window, counts, times, _gauges(conn, window)),
        _totals(counts),
        _quantiles(_merged(found for (_, measure), found in times.items() if measure == "wait")),
        _quantiles(_merged(found for (_, measure), found in times.items() if measure == "run")),
        subjects,
        more,
    )


def _in(window: Window) -> ColumnElement[bool]:
    return t.counters.c.minute.between(window.start, window.end - 1)


def _slot(window: Window) -> ColumnElement[Any]:
    # written out, not bound: PostgreSQL must see that SELECT and GROUP BY say the same
    return literal_column(f"(counters.minute - {window.start:d}) / {window.step:d}").label("slot")


def _counts(conn: Connection, window: Window) -> dict[tuple[int, str], int]:
    c, slot = t.counters.c, _slot(window)
    query = (
        select(slot, c.measure, func.sum(c.n).label("n"))
        .where(_in(window), c.measure.not_in(TIMES + GAUGES))
        .group_by(slot, c.measure)
    )
    return {(int(row.slot), row.measure): int(row.n) for row in conn.execute(query)}


def _times(conn: Connection, window: Window) -> dict[tuple[int, str], dict[int, int]]:
    c, slot = t.counters.c, _slot(window)
    query = (
        select(slot, c.measure, c.bucket, func.sum(c.n).label("n"))
        .where(_in(window), c.measure.in_(TIMES))
        .group_by(slot, c.measure, c.bucket)
    )
    found: dict[tuple[int, str], dict[int, int]] = defaultdict(dict)
    for row in conn.execute(query):
        found[int(row.slot), row.measure][row.bucket] = int(row.n)
    return found


def _gauges(conn: Connection, window: Window) -> dict[tuple[int, str], tuple[int, int]]:
    """The least and the most of each slot."""
    c, slot = t.counters.c, _slot(window)
    query = (
        select(slot, c.measure, func.min(c.n).label("least"), func.max(c.n).label("most"))
        .where(_in(window), c.measure.in_(GAUGES))
        .group_by(slot, c.measure)
    )
    return {(int(row.slot), row.measure): (int(row.least), int(row.most)) for row in conn.execute(query)}


def _times_by_subject(conn: Connection, window: Window) -> dict[tuple[str, str], dict[int, int]]:
    c = t.counters.c
    query = (
        select(c.subject, c.measure, c.bucket, func.sum(c.n).label("n"))
        .where(_in(window), c.subject != "")
        .group_by(c.subject, c.measure, c.bucket)
    )
    found: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    for row in conn.execute(query):
        found[row.subject, row.measure][row.bucket] = int(row.n)
    return found


def _subscriptions(
    conn: Connection, window: Window, found: Mapping[tuple[str, str], Histogram]
) -> tuple[tuple[SubscriptionStats, ...], int]:
    ids = sorted({subject for subject, _ in found}, key=lambda one: -_tries(found, one))
    s = t.subscriptions.c
    shown = ids[:SUBSCRIPTIONS_SHOWN]
    names = {row.id: row.name for row in conn.execute(select(s.id, s.name).where(s.id.in_(shown)))}
    rows = tuple(
        SubscriptionStats(
            id=one,
            name=names.get(one, one),
            totals=Totals(**{name: _first(found, one, name) for name in ("succeeded", "failed", "dead", "skipped")}),
            wait=_quantiles(found.get((one, "wait"), {})),
            run=_quantiles(found.get((one, "run"), {})),
        )
        for one in shown
    )
    return rows, len(ids) - len(shown)


def _tries(found: Mapping[tuple[str, str], Histogram], subject: str) -> int:
    return sum(found.get((subject, "run"), {}).values()) + _first(found, subject, "dead")


def _first(found: Mapping[tuple[str, str], Histogram], subject: str, measure: str) -> int:
    return found.get((subject, measure), {}).get(0, 0)


def _slots(
    window: Window,
    counts: Mapping[tuple[int, str], int],
    times: Mapping[tuple[int, str], Histogram],
    gauges: Mapping[tuple[int, str], tuple[int, int]],
) -> tuple[Slot, ...]:
    def gauge(i: int, name: str, end: int) -> int | None:
        found = gauges.get((i, name))
        return None if found is None else found[end]

    return tuple(
        Slot(
            at=window.at(i),
            wait=_quantiles(times.get((i, "wait"), {})),
            run=_quantiles(times.get((i, "run"), {})),
            oldest_s=None if (oldest := gauge(i, "oldest", 1)) is None else oldest / 1000,
            due=gauge(i, "due", 1),
            workers=gauge(i, "workers", 0),
            **{name: counts.get((i, name), 0) for name in ("accepted", "succeeded", "failed", "dead", "skipped")},
        )
        for i in range(window.slots)
    )


def _totals(counts: Mapping[tuple[int, str], int]) -> Totals:
    sums: dict[str, int] = defaultdict(int)
    for (_, measure), n in counts.items():
        sums[measure] += n
    return Totals(**{name: sums[name] for name in Totals.__dataclass_fields__})


def _merged(histograms: Any) -> Histogram:
    sums: dict[int, int] = defaultdict(int)
    for found in histograms:
        for bucket, n in found.items():
            sums[bucket] += n
    return sums


def _quantiles(found: Histogram) -> Quantiles:
    if not found:
        return Quantiles()
    return Quantiles(quantile(found, 0.5), quantile(found, 0.95), quantile(found, 0.99))
