"""The story of an event as rows on one axis: what it was, its deliveries and tries, and what else came of it.

Pure; no clock, no SQL. Templates write the numbers into SVG attributes; colours are the classes of the states.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from webapp.domain.lifecycle import OPEN
from webapp.store.feed_deliveries import AttemptRow, DeliveryRow
from webapp.store.feed_events import AttemptOf, EventDetail
from webapp.store.feed_story import Happening
from webapp.web.timescale import Bar, Idle, Scale, Tick, scale_of

ROWS_SHOWN = 24  # deliveries
TRIES_SHOWN = 6  # of each, the newest
HAPPENINGS_SHOWN = 30


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the timeline."""

    kind: str  # "delivery", "attempt", "running", "due", "earlier"; "action", "notice", "child"
    name: str
    state: str
    bar: Bar | None = None
    took: float | None = None  # seconds
    due_at: datetime | None = None
    delivery_id: str = ""
    n: int = 0
    note: str = ""
    wait: Bar | None = None  # from being due to being started
    mark: float | None = None  # a moment, in per cent
    at: datetime | None = None  # when it began
    link: str = ""
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class Waterfall:
    """The whole drawing."""

    ticks: tuple[Tick, ...]
    steps: tuple[Step, ...]
    more: int  # deliveries that are not drawn
    idle: tuple[Idle, ...] = ()  # stretches that were cut
    happenings: tuple[Step, ...] = ()
    has_idle: bool = False  # there is something to cut, whether it is or not
    unsaid: int = 0  # happenings that are not drawn
    now: float | None = None  # where the present is, when something is still to come

    @property
    def told(self) -> tuple[Step, ...]:
        """The same as a list: in the order of time, without the lines that only hold others together."""
        moments = [one for one in (*self.steps, *self.happenings) if one.at is not None]
        return tuple(sorted(moments, key=lambda one: (one.at, one.kind == "due")))


def draw(
    event: EventDetail,
    deliveries: Sequence[DeliveryRow],
    attempts: Iterable[AttemptOf],
    now: datetime,
    happenings: Sequence[Happening] = (),
    *,
    whole: bool = False,
) -> Waterfall:
    """From the moment the event came in to the last thing that is known of it, also of what is to come."""
    tries: dict[str, list[AttemptRow]] = defaultdict(list)
    for one in attempts:
        tries[one.delivery_id].append(one.attempt)
    shown, told = deliveries[:ROWS_SHOWN], sorted(happenings, key=lambda one: one.at)[:HAPPENINGS_SHOWN]
    busy = list(chain.from_iterable(_busy(one, tries[one.id], now) for one in shown))
    busy += [(one.at, one.at) for one in told]
    cut = scale_of(event.received_at, busy)
    scale = scale_of(event.received_at, busy, whole=True) if whole else cut
    steps = [step for delivery in shown for step in _steps(delivery, tries[delivery.id], scale, now)]
    return Waterfall(
        scale.ticks(),
        tuple(steps),
        event.total - len(shown),
        scale.idle,
        tuple(_happening(one, scale) for one in told),
        bool(cut.idle),
        len(happenings) - len(told),
        scale.place(now) if any(step.kind == "due" for step in steps) else None,
    )


def _busy(delivery: DeliveryRow, tries: Sequence[AttemptRow], now: datetime) -> Iterable[tuple[datetime, datetime]]:
    """The stretches in which something went on, or which people wait for."""
    yield from ((one.started_at, one.finished_at) for one in tries)
    end = now if delivery.state in OPEN else delivery.finished_at or delivery.created_at
    yield (delivery.started_at, end) if delivery.state == "running" and delivery.started_at else (end, end)
    if _is_to_come(delivery, now):
        yield delivery.due_at, delivery.due_at


def _happening(one: Happening, scale: Scale) -> Step:
    mark = round(scale.place(one.at), 2)
    return Step(one.kind, one.name, one.tone, mark=mark, at=one.at, link=one.link, note=one.who)


def _steps(delivery: DeliveryRow, tries: Sequence[AttemptRow], scale: Scale, now: datetime) -> list[Step]:
    runs = delivery.state == "running" and delivery.started_at is not None
    if len(tries) + runs <= 1 and delivery.state not in ("waiting", "held"):
        return [_single(delivery, tries, scale, now), *_next(delivery, scale, now, only_due=True)]
    end = now if delivery.state in OPEN else delivery.finished_at or delivery.created_at
    took = (end - delivery.created_at).total_seconds()
    head = _head(delivery, scale.bar(delivery.created_at, end, pale=True), took)
    return [head, *_tries(delivery, tries, scale), *_next(delivery, scale, now)]


def _single(delivery: DeliveryRow, tries: Sequence[AttemptRow], scale: Scale, now: datetime) -> Step:
    """A delivery and its only try in one line: the wait for a worker, then the run."""
    runs = delivery.state == "running"
    begin = tries[0].started_at if tries else delivery.started_at if runs else None
    if begin is None:
        is_late = delivery.state in OPEN and not _is_to_come(delivery, now)
        waited = scale.bar(delivery.created_at, now, pale=True) if is_late else None
        return _head(delivery, waited, (now - delivery.created_at).total_seconds() if is_late else None)
    end, due_at = (tries[0].finished_at, tries[0].due_at) if tries else (now, delivery.due_at)
    took = (end - begin).total_seconds()
    return _head(delivery, scale.bar(begin, end), took, _wait(due_at, begin, scale), begin)


def _wait(due_at: datetime | None, begin: datetime, scale: Scale) -> Bar | None:
    if due_at is None or scale.place(begin) - scale.place(due_at) < 0.5:
        return None
    return scale.bar(due_at, begin, pale=True)


def _head(
    delivery: DeliveryRow, bar: Bar | None, took: float | None, wait: Bar | None = None, begin: datetime | None = None
) -> Step:
    note = f"re-run {delivery.rerun}" if delivery.rerun else ""
    link = f"/deliveries/{delivery.id}"
    waited = max(0.0, (begin - delivery.created_at).total_seconds()) if begin else 0.0
    return Step(
        "delivery", delivery.subscription_name, delivery.state, bar, took, None, delivery.id,
        note=note, wait=wait, at=delivery.created_at, link=link, waited=waited,
    )  # fmt: skip


def _tries(delivery: DeliveryRow, tries: Sequence[AttemptRow], scale: Scale) -> list[Step]:
    hidden = len(tries) - TRIES_SHOWN
    steps = [Step("earlier", str(hidden), "idle", delivery_id=delivery.id)] if hidden > 0 else []
    return steps + [_try(delivery, one, scale) for one in tries[-TRIES_SHOWN:]]


def _try(delivery: DeliveryRow, one: AttemptRow, scale: Scale) -> Step:
    why = one.error_message or one.error_type or one.outcome.replace("_", " ")
    return Step(
        "attempt", "succeeded" if one.outcome == "succeeded" else why, one.outcome,
        scale.bar(one.started_at, one.finished_at), one.run_s, None, delivery.id, one.n,
        wait=_wait(one.due_at, one.started_at, scale), at=one.started_at, link=f"/deliveries/{delivery.id}",
        note=delivery.subscription_name, waited=one.wait_s if one.due_at else 0.0,
    )  # fmt: skip


def _next(delivery: DeliveryRow, scale: Scale, now: datetime, *, only_due: bool = False) -> list[Step]:
    link = f"/deliveries/{delivery.id}"
    if delivery.state == "running" and delivery.started_at is not None and not only_due:
        bar, took = scale.bar(delivery.started_at, now), (now - delivery.started_at).total_seconds()
        said = delivery.progress_message or "running"
        wait = _wait(delivery.due_at, delivery.started_at, scale)
        return [Step("running", said, "running", bar, took, None, delivery.id, delivery.attempt, delivery.subscription_name, wait, None, delivery.started_at, link)]  # fmt: skip
    if delivery.state == "waiting" or _is_to_come(delivery, now):
        mark, n = round(scale.place(delivery.due_at), 2), delivery.attempt + 1
        wait = scale.bar(min(now, delivery.due_at), delivery.due_at, pale=True)
        return [Step("due", delivery.subscription_name, "waiting", None, None, delivery.due_at, delivery.id, n, wait=wait, mark=mark, at=delivery.due_at, link=link)]  # fmt: skip
    return []


def _is_to_come(delivery: DeliveryRow, now: datetime) -> bool:
    """Waiting for its next try, scheduled or debounced: nobody could have started it yet."""
    return delivery.state in ("pending", "waiting") and delivery.due_at > now
