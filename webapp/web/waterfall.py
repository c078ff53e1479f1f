"""The timeline of an event as numbers: rows, bars in per cent of the time shown, and ticks. Pure; no clock, no SQL.

Templates write the numbers into SVG attributes; colours are the classes of the states.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from webapp.domain.lifecycle import OPEN
from webapp.store.feed_deliveries import AttemptRow, DeliveryRow
from webapp.store.feed_events import AttemptOf, EventDetail

ROWS_SHOWN = 24  # deliveries
TRIES_SHOWN = 6  # of each, the newest
NARROWEST = 0.7  # per cent: a bar that is too short to see is drawn this wide
TICKS = 4
STEPS = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800,
    3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tick:
    """A line of the grid and what it says."""

    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Bar:
    """Where a bar begins and how wide it is, in per cent. ``pale``: time that passed, not work."""

    x: float
    width: float
    pale: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the timeline."""

    kind: str  # "delivery", "attempt", "running", "due", "earlier"
    name: str
    state: str
    bar: Bar | None = None
    took: float | None = None  # seconds
    due_at: datetime | None = None
    delivery_id: str = ""
    n: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Waterfall:
    """The whole drawing."""

    ticks: tuple[Tick, ...]
    steps: tuple[Step, ...]
    more: int  # deliveries that are not drawn


def draw(
    event: EventDetail, deliveries: Sequence[DeliveryRow], attempts: Iterable[AttemptOf], now: datetime
) -> Waterfall:
    """From the moment the event came in to now, or to the end when nothing is open."""
    tries: dict[str, list[AttemptRow]] = defaultdict(list)
    for one in attempts:
        tries[one.delivery_id].append(one.attempt)
    shown = deliveries[:ROWS_SHOWN]
    span = _span(event, deliveries, now)
    scale = _Scale(event.received_at, span)
    steps = [step for delivery in shown for step in _steps(delivery, tries[delivery.id], scale, now)]
    return Waterfall(_ticks(span), tuple(steps), event.total - len(shown))


@dataclass(frozen=True, slots=True)
class _Scale:
    start: datetime
    span: float

    def bar(self, begin: datetime, end: datetime, *, pale: bool = False) -> Bar:
        x = self._place(begin)
        width = min(max(self._place(end) - x, NARROWEST), 100.0)
        return Bar(round(min(x, 100 - width), 2), round(width, 2), pale)

    def _place(self, at: datetime) -> float:
        return min(max((at - self.start).total_seconds() / self.span * 100, 0.0), 100.0)


def _span(event: EventDetail, deliveries: Sequence[DeliveryRow], now: datetime) -> float:
    ends = [now if one.state in OPEN else one.finished_at or one.created_at for one in deliveries]
    latest = max(ends, default=event.received_at)
    return max((latest - event.received_at).total_seconds(), 0.004)


def _ticks(span: float) -> tuple[Tick, ...]:
    step = next((size for size in STEPS if span / size <= TICKS), STEPS[-1])
    count = min(int(span / step), TICKS * 3)
    ticks = [Tick(round(n * step / span * 100, 2), n * step) for n in range(count + 1)]
    return tuple(tick for tick in ticks if tick.at < 96)


def _steps(delivery: DeliveryRow, tries: Sequence[AttemptRow], scale: _Scale, now: datetime) -> list[Step]:
    runs = delivery.state == "running" and delivery.started_at is not None
    end = now if delivery.state in OPEN else delivery.finished_at or delivery.created_at
    took = (end - delivery.created_at).total_seconds()
    single = len(tries) + runs <= 1 and delivery.state not in ("waiting", "held")
    if single:
        begin = tries[0].started_at if tries else delivery.started_at if runs else None
        bar = scale.bar(begin, tries[0].finished_at if tries else end) if begin else None
        took = (tries[0].run_s if tries else took) if bar else took
        waits = _is_for_later(delivery, now)
        took_so_far = took if bar or (delivery.state in OPEN and not waits) else None
        return [_head(delivery, bar, took_so_far), *(_next(delivery, scale, now) if waits else ())]
    head = _head(delivery, scale.bar(delivery.created_at, end, pale=True), took)
    return [head, *_tries(delivery, tries, scale), *_next(delivery, scale, now)]


def _head(delivery: DeliveryRow, bar: Bar | None, took: float | None) -> Step:
    note = f"re-run {delivery.rerun}" if delivery.rerun else ""
    return Step("delivery", delivery.subscription_name, delivery.state, bar, took, None, delivery.id, note=note)


def _tries(delivery: DeliveryRow, tries: Sequence[AttemptRow], scale: _Scale) -> list[Step]:
    hidden = len(tries) - TRIES_SHOWN
    steps = [Step("earlier", str(hidden), "idle", delivery_id=delivery.id)] if hidden > 0 else []
    for one in tries[-TRIES_SHOWN:]:
        bar = scale.bar(one.started_at, one.finished_at)
        why = one.error_message or one.error_type or one.outcome.replace("_", " ")
        note = why if one.outcome != "succeeded" else "succeeded"
        steps.append(Step("attempt", note, one.outcome, bar, one.run_s, None, delivery.id, one.n))
    return steps


def _next(delivery: DeliveryRow, scale: _Scale, now: datetime) -> list[Step]:
    if delivery.state == "running" and delivery.started_at is not None:
        bar, took = scale.bar(delivery.started_at, now), (now - delivery.started_at).total_seconds()
        return [
            Step(
                "running",
                delivery.progress_message or "running",
                "running",
                bar,
                took,
                None,
                delivery.id,
                delivery.attempt,
            )
        ]
    if delivery.state == "waiting" or _is_for_later(delivery, now):
        return [Step("due", "", "waiting", due_at=delivery.due_at, delivery_id=delivery.id, n=delivery.attempt + 1)]
    return []


def _is_for_later(delivery: DeliveryRow, now: datetime) -> bool:
    """Scheduled or debounced: nobody could have started it yet."""
    return delivery.state == "pending" and delivery.due_at > now
