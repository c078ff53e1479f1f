"""What each chart shows: its curves, in one description that the drawing, the table and the JSON are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from webapp.store.marks import Change
from webapp.store.stats import Performance, Quantiles, Slot

OVERVIEW = ("events", "success", "waiting", "oldest")


@dataclass(frozen=True, slots=True)
class Curve:
    """One value for each slot; ``None`` where nothing was measured. ``kind`` names its colour in performance.css."""

    kind: str
    label: str
    values: tuple[float | None, ...]
    is_rate: bool = False

    @property
    def newest(self) -> float | None:
        """Of a rate the last whole slot, else the last that was measured."""
        if self.is_rate:
            return self.values[-2]
        return next((value for value in reversed(self.values) if value is not None), None)


@dataclass(frozen=True, slots=True)
class Plot:
    """One chart. ``unit``: rate (a minute), share (of 1), seconds (drawn logarithmically) or count."""

    id: str
    title: str
    what: str
    unit: str
    shape: str  # bars (a stack, from below) or lines
    curves: tuple[Curve, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        drawn = (value for curve in self.curves for value in curve.values)
        return not any(drawn) if self.shape == "bars" else all(value is None for value in drawn)


def plots_of(seen: Performance) -> tuple[Plot, ...]:
    """Every chart of the performance page, in its order."""
    return (
        Plot("events", "Events a minute", "accepted", "rate", "bars", (_rate(seen, "plain", "events", "accepted"),)),
        Plot("tries", "Tries a minute", "by how they ended", "rate", "bars", _tries(seen)),
        Plot("success", "Success", "of deliveries that ended", "share", "lines", (
            _each(seen, "succeeded", "success", lambda slot: slot.success),)),
        Plot("workers", "Workers", "the fewest at a time", "count", "lines", (
            _each(seen, "plain", "workers", lambda slot: slot.workers),)),
        Plot("waiting", "Waiting", "from due to started", "seconds", "lines", _quantiles(seen, lambda slot: slot.wait)),
        Plot("running", "Running", "time in the handler", "seconds", "lines", _quantiles(seen, lambda slot: slot.run)),
        Plot("oldest", "Oldest waiting", "due and not started", "seconds", "lines", (
            _each(seen, "plain", "oldest", lambda slot: slot.oldest_s),)),
        Plot("due", "Due", "the most at a time", "count", "lines", (
            _each(seen, "plain", "due", lambda slot: slot.due),)),
    )  # fmt: skip


def to_json(seen: Performance, changes: tuple[Change, ...], next_ms: int) -> dict[str, Any]:
    """All of it for the browser. Times are seconds since 1970; a value stands in the middle of its slot."""
    step_s, first_s = seen.window.step * 60, seen.window.start * 60
    return {
        "range": seen.window.name,
        "from": first_s,
        "until": seen.window.end * 60,
        "step": step_s,
        "next_ms": next_ms,
        "t": [first_s + i * step_s + step_s // 2 for i in range(seen.window.slots)],
        "plots": {plot.id: [curve.values for curve in plot.curves] for plot in plots_of(seen)},
        "changes": [
            {"at": round(one.at.timestamp()), "kind": one.kind, "words": words_of(one), "href": href_of(one)}
            for one in changes
        ],
    }


CHANGED: Mapping[str, str] = {
    "mark": "{title}",
    "subscription.created": "{title} was created",
    "subscription.updated": "{title} was changed",
    "subscription.restored": "{title} was put back to an earlier version",
    "subscription.deleted": "{title} was deleted",
    "subscription.paused": "{title} was paused",
    "subscription.resumed": "{title} was resumed",
    "breaker.opened": "The breaker of {title} opened",
}


def words_of(change: Change) -> str:
    """What happened, and who did it."""
    said = CHANGED[change.action].replace("{title}", change.title)
    return said if change.kind == "breaker" and change.who == "Signalbox" else f"{said}, by {change.who}"


def href_of(change: Change) -> str:
    """Where to look at it."""
    if change.kind == "deploy" or change.action == "subscription.deleted":
        return f"/audit?target={change.target_id or change.id}"
    return f"/subscriptions/{change.target_id}{'/history' if change.kind == 'rule' else ''}"


def _tries(seen: Performance) -> tuple[Curve, ...]:
    return (
        _rate(seen, "succeeded", "succeeded", "succeeded", "skipped"),
        _rate(seen, "waiting", "tried again", "failed"),
        _rate(seen, "dead", "dead", "dead"),
    )


def _rate(seen: Performance, kind: str, label: str, *measures: str) -> Curve:
    """Per minute; the last slot is still being counted, so it is divided by the minutes that have passed of it."""
    window, values = seen.window, []
    for i, slot in enumerate(seen.slots):
        minutes = min(window.step, window.now - (window.start + i * window.step) + 1)
        values.append(round(sum(getattr(slot, name) for name in measures) / max(1, minutes), 3))
    return Curve(kind, label, tuple(values), is_rate=True)


def _each(seen: Performance, kind: str, label: str, value: Callable[[Slot], float | None]) -> Curve:
    found = (value(slot) for slot in seen.slots)
    return Curve(kind, label, tuple(one if one is None else round(one, 4) for one in found))


def _quantiles(seen: Performance, of: Callable[[Slot], Quantiles]) -> tuple[Curve, ...]:
    return tuple(
        Curve(name, name, tuple(getattr(of(slot), name) for slot in seen.slots)) for name in ("p50", "p95", "p99")
    )
