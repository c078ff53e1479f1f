"""Charts as numbers: where bars, lines and ticks go, for templates that only write SVG attributes.

Pure: read models in, coordinates out. No colours (those are classes in chart.css and performance.css).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from webapp.store.stats import Performance, Quantiles, Slot, Window

WIDTH, HEIGHT = 560, 172
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 10, 24
PLOT_W, PLOT_H = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
BASE = TOP + PLOT_H
NICE = (1, 2, 5, 10)
QUANTILES = (("p50", "median"), ("p95", "95 %"), ("p99", "99 %"))


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
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    base: int = BASE


def events_chart(seen: Performance) -> Chart:
    """Events accepted per minute."""
    return _stacked(seen.window, seen.slots, (("plain", lambda slot: slot.accepted),), _events_words)


def deliveries_chart(seen: Performance) -> Chart:
    """Tries per minute by how they ended."""
    stack: tuple[tuple[str, Callable[[Slot], int]], ...] = (
        ("succeeded", lambda slot: slot.succeeded + slot.skipped),
        ("waiting", lambda slot: slot.failed),
        ("dead", lambda slot: slot.dead),
    )
    return _stacked(seen.window, seen.slots, stack, _tries_words)


def waiting_chart(seen: Performance) -> Chart:
    """How long deliveries waited from being due to being started."""
    return _quantile_lines(seen.window, seen.slots, lambda slot: slot.wait)


def running_chart(seen: Performance) -> Chart:
    """How long handlers took."""
    return _quantile_lines(seen.window, seen.slots, lambda slot: slot.run)


def seconds_in_words(seconds: float | None) -> str:
    """``12 ms``, ``1.4 s``, ``3 min``; "–" for ``None``."""
    if seconds is None:
        return "–"
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 0.995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7170 else f"{seconds / 3600:.1f} h"


def _stacked(
    window: Window,
    slots: Sequence[Slot],
    stack: Sequence[tuple[str, Callable[[Slot], int]]],
    words: Callable[[Slot, int], str],
) -> Chart:
    per_minute = [[count(slot) / window.step for _, count in stack] for slot in slots]
    top, ticks = _linear(max((sum(values) for values in per_minute), default=0))
    width = PLOT_W / len(slots)
    bars: list[Bar] = []
    for i, values in enumerate(per_minute):
        y = float(BASE)
        for (kind, _), value in zip(stack, values, strict=True):
            if value > 0:
                height = max(value / top * PLOT_H, 1.5)
                y -= height
                bars.append(Bar(_r(LEFT + i * width + width * 0.1), _r(y), _r(width * 0.8), _r(height), kind))
    return Chart(_x_ticks(window), ticks, tuple(bars), (), _columns(window, slots, words), not bars)


def _quantile_lines(window: Window, slots: Sequence[Slot], of: Callable[[Slot], Quantiles]) -> Chart:
    found = [value for slot in slots for value in (of(slot).p50, of(slot).p99) if value is not None]
    if not found:
        return Chart(_x_ticks(window), (), (), (), (), True)
    low, high, ticks = _logarithmic(min(found), max(found))

    def y(seconds: float) -> float:
        return BASE - (log10(max(seconds, low)) - log10(low)) / (log10(high) - log10(low)) * PLOT_H

    lines = tuple(
        Line(_path(window, [getattr(of(slot), name) for slot in slots], y), name) for name, _ in reversed(QUANTILES)
    )

    def words(slot: Slot, step: int) -> str:
        if of(slot).p50 is None:
            return f"{slot.at:%H:%M} UTC: nothing"
        values = ", ".join(f"{said} {seconds_in_words(getattr(of(slot), name))}" for name, said in QUANTILES)
        return f"{slot.at:%H:%M} UTC: {values}"

    return Chart(_x_ticks(window), ticks, (), lines, _columns(window, slots, words), False)


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


def _columns(window: Window, slots: Sequence[Slot], words: Callable[[Slot, int], str]) -> tuple[Column, ...]:
    width = PLOT_W / window.slots
    return tuple(Column(_r(LEFT + i * width), _r(width), words(slot, window.step)) for i, slot in enumerate(slots))


def _x_ticks(window: Window) -> tuple[Tick, ...]:
    every = 10 if window.name == "hour" else 180  # minutes
    width = PLOT_W / window.slots
    ticks = []
    for i in range(window.slots):
        minute = window.start + i * window.step
        if minute % every < window.step:
            ticks.append(Tick(_r(LEFT + i * width), f"{window.at(i):%H:%M}", minute % (2 * every) >= window.step))
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
    first, last = floor(log10(smallest)), ceil(log10(largest))
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


def _events_words(slot: Slot, step: int) -> str:
    return f"{slot.at:%H:%M} UTC: {slot.accepted:,} events{_over(step)}"


def _tries_words(slot: Slot, step: int) -> str:
    return (
        f"{slot.at:%H:%M} UTC: {slot.succeeded + slot.skipped:,} succeeded, {slot.failed:,} failed and tried again, "
        f"{slot.dead:,} dead{_over(step)}"
    )


def _over(step: int) -> str:
    return "" if step == 1 else f" in {step} minutes"


def _r(value: float) -> float:
    return round(value, 2)
