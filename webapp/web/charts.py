"""Charts as numbers: where bars, lines and ticks go, for templates that only write SVG attributes.

Pure: read models in, coordinates out. No colours (those are classes in chart.css and performance.css).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil, floor, log10
from zoneinfo import ZoneInfo

from webapp.store.marks import Change
from webapp.store.stats import Window
from webapp.web.plots import Plot, words_of

WIDTH, HEIGHT = 560, 172
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 10, 24
PLOT_W, PLOT_H = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
BASE = TOP + PLOT_H
NICE = (1, 2, 5, 10)
TICK_EVERY = {"1h": 10, "6h": 60, "24h": 180, "7d": 1440}  # minutes
SHORTEST_S = 0.0001  # a logarithm has no nought


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis; ``minor`` ones are left out on small screens."""

    at: float
    label: str
    minor: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """One rectangle of a stack."""

    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True, slots=True)
class Line:
    """One curve, as the ``d`` of a path."""

    d: str
    kind: str


@dataclass(frozen=True, slots=True)
class Column:
    """The stretch of one slot over the whole height: what the pointer meets, and the words it then reads."""

    x: float
    width: float
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything that one chart draws. ``empty``: there was nothing to draw."""

    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    bars: tuple[Bar, ...]
    lines: tuple[Line, ...]
    columns: tuple[Column, ...]
    empty: bool
    marks: tuple[Tick, ...] = ()  # changes, with the words of each
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    base: int = BASE


def draw(plot: Plot, window: Window, changes: Sequence[Change] = (), zone: str = "UTC") -> Chart:
    """The drawing of one plot over its window, with a mark for each change; times as clocks of that zone show them."""
    there = ZoneInfo(zone)
    if plot.is_empty:
        return Chart(_x_ticks(window, there), (), (), (), (), True)
    bars: tuple[Bar, ...] = ()
    lines: tuple[Line, ...] = ()
    if plot.shape == "bars":
        top, ticks = _linear(max(sum(value or 0 for value in values) for values in _by_slot(plot)))
        bars = _stack(plot, top)
    else:
        found = [value for curve in plot.curves for value in curve.values if value is not None]
        y, ticks = _y_scale(plot.unit, found)
        lines = tuple(Line(_path(window, curve.values, y), curve.kind) for curve in reversed(plot.curves))
    marks = tuple(Tick(_x_of(window, one.at), words_of(one)) for one in changes)
    return Chart(_x_ticks(window, there), ticks, bars, lines, _columns(window, plot, there), False, marks)


def in_words(unit: str, value: float | None) -> str:
    """An exact value as people say it."""
    if value is None:
        return "–"
    if unit == "seconds":
        return seconds_in_words(value)
    return f"{value * 100:.1f} %" if unit == "share" else f"{round(value, 1):,g}" if value < 1e5 else f"{value:,.0f}"


def seconds_in_words(seconds: float | None) -> str:
    """``12 ms``, ``1.4 s``, ``3 min``; "–" for ``None``."""
    if seconds is None:
        return "–"
    if seconds == 0:
        return "0 s"
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 0.995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7170 else f"{seconds / 3600:.1f} h"


def _by_slot(plot: Plot) -> list[tuple[float | None, ...]]:
    return list(zip(*(curve.values for curve in plot.curves), strict=True))


def _stack(plot: Plot, top: float) -> tuple[Bar, ...]:
    slots = _by_slot(plot)
    width = PLOT_W / len(slots)
    bars: list[Bar] = []
    for i, values in enumerate(slots):
        y = float(BASE)
        for curve, value in zip(plot.curves, values, strict=True):
            if value:
                height = max(value / top * PLOT_H, 1.5)
                y -= height
                bars.append(Bar(_r(LEFT + i * width + width * 0.1), _r(y), _r(width * 0.8), _r(height), curve.kind))
    return tuple(bars)


def _y_scale(unit: str, found: Sequence[float]) -> tuple[Callable[[float], float], tuple[Tick, ...]]:
    """Where a value lies, and the ticks: logarithmic for times, from nought for everything else."""
    if unit == "seconds":
        low, high, ticks = _logarithmic(min(found), max(found))
        return lambda value: BASE - (log10(max(value, low)) - log10(low)) / (log10(high) - log10(low)) * PLOT_H, ticks
    top, ticks = _linear(max(max(found), 1))
    if unit == "share":
        ticks = tuple(replace(tick, label=f"{share:.0%}") for tick, share in zip(ticks, (0, 0.5, 1), strict=True))
    return lambda value: BASE - value / top * PLOT_H, ticks


def _x_of(window: Window, at: datetime) -> float:
    share = (at.timestamp() / 60 - window.start) / (window.slots * window.step)
    return _r(LEFT + min(max(share, 0), 1) * PLOT_W)


def _path(window: Window, values: Sequence[float | None], y: Callable[[float], float]) -> str:
    """A path that is interrupted where there is no value; a lone value becomes a short dash."""
    width = PLOT_W / window.slots
    parts: list[str] = []
    for i, value in enumerate(values):
        if value is None:
            continue
        x = LEFT + (i + 0.5) * width
        before = i > 0 and values[i - 1] is not None
        after = i + 1 < len(values) and values[i + 1] is not None
        if before:
            parts.append(f"L{_r(x)} {_r(y(value))}")
        elif after:
            parts.append(f"M{_r(x)} {_r(y(value))}")
        else:
            parts.append(f"M{_r(x - 2)} {_r(y(value))}h4")
    return "".join(parts)


def _columns(window: Window, plot: Plot, there: ZoneInfo) -> tuple[Column, ...]:
    width = PLOT_W / window.slots
    return tuple(
        Column(_r(LEFT + i * width), _r(width), f"{_slot_words(window, i, there)}: {_column_words(plot, values)}")
        for i, values in enumerate(_by_slot(plot))
    )


def _slot_words(window: Window, slot: int, there: ZoneInfo) -> str:
    at = window.at(slot).astimezone(there)
    return f"{at:%-d %b, %H:%M %Z}" if window.name == "7d" else f"{at:%H:%M %Z}"


def _column_words(plot: Plot, values: Sequence[float | None]) -> str:
    if all(value is None for value in values):
        return "nothing"
    pairs = zip(plot.curves, values, strict=True)
    return ", ".join(f"{in_words(plot.unit, value)} {curve.label}" for curve, value in pairs)


def _x_ticks(window: Window, there: ZoneInfo) -> tuple[Tick, ...]:
    """At round times of that zone's clocks, which may be half an hour beside those of UTC."""
    every = TICK_EVERY[window.name]
    width = PLOT_W / window.slots
    ticks = []
    for i in range(window.slots):
        at = window.at(i).astimezone(there)
        minute = at.toordinal() * 1440 + at.hour * 60 + at.minute
        if minute % every < window.step:
            label = f"{at:%b %-d}" if window.name == "7d" else f"{at:%H:%M}"
            ticks.append(Tick(_r(LEFT + i * width), label, minute % (2 * every) >= window.step))
    return tuple(ticks)


def _linear(largest: float) -> tuple[float, tuple[Tick, ...]]:
    """A round top of the axis and ticks at nought, half and all of it."""
    if largest <= 0:
        return 1.0, ()
    decade = 10.0 ** floor(log10(largest))
    top = next(decade * nice for nice in NICE if decade * nice >= largest)
    top = max(top, 1.0)
    return top, tuple(Tick(_r(BASE - share * PLOT_H), _short(top * share)) for share in (0, 0.5, 1))


def _logarithmic(smallest: float, largest: float) -> tuple[float, float, tuple[Tick, ...]]:
    """Whole decades around the values, with a tick on each."""
    first, last = floor(log10(max(smallest, SHORTEST_S))), ceil(log10(max(largest, SHORTEST_S)))
    last = max(last, first + 1)
    low, high = 10.0**first, 10.0**last
    ticks = tuple(
        Tick(_r(BASE - (power - first) / (last - first) * PLOT_H), _decade(power)) for power in range(first, last + 1)
    )
    return low, high, ticks


def _decade(power: int) -> str:
    if power < 0:
        return f"{10.0 ** (power + 3):g} ms"
    return f"{10**power:g} s" if power < 5 else f"{10**power / 3600:.0f} h"


def _short(value: float) -> str:
    if value >= 1_000_000:
        return f"{value / 1_000_000:g} M"
    return f"{value / 1000:g} k" if value >= 10_000 else f"{value:g}"


def _r(value: float) -> float:
    return round(value, 2)
