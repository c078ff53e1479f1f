"""The axis of a timeline: where an instant is drawn, in per cent. Long stretches in which nothing happened are cut short. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

NARROWEST = 0.7  # per cent: a bar that is too short to see is drawn this wide
TICKS = 4
IDLE_S = 60.0  # shorter ones are never cut
IDLE_WIDTH = 5.0  # per cent of the axis that is left of a cut stretch
IDLE_SHARE = 40.0  # and of all of them
TICK_GAP = 11.0  # per cent, so that words do not touch
STEPS = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800,
    3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800,
)  # fmt: skip

Stretch = tuple[float, float]  # seconds since the start


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
class Idle:
    """A stretch that was cut short."""

    x: float
    width: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Scale:
    """``stops`` are pairs of second and per cent; between two of them time runs evenly."""

    start: datetime
    stops: tuple[tuple[float, float], ...]
    idle: tuple[Idle, ...]

    def place(self, at: datetime) -> float:
        """Where an instant is, within 0 and 100."""
        return self._place((at - self.start).total_seconds())

    def bar(self, begin: datetime, end: datetime, *, pale: bool = False) -> Bar:
        """A bar between two instants, never too narrow to see and never beyond the axis."""
        x = self.place(begin)
        width = min(max(self.place(end) - x, NARROWEST), 100.0)
        return Bar(round(min(x, 100 - width), 2), round(width, 2), pale)

    def ticks(self) -> tuple[Tick, ...]:
        """Lines at even times, and one where time goes on after a cut."""
        visible = self.stops[-1][0] - sum(one.seconds for one in self.idle)
        step = next((size for size in STEPS if visible / size <= TICKS), STEPS[-1])
        last, found = self.stops[-1][0], [0.0]
        cuts = {round(one.x, 2) for one in self.idle}
        for (begin, x), (end, _) in pairwise(self.stops):
            if round(x, 2) in cuts:
                continue
            first = int(begin / step) + 1
            found += [begin] if begin else []
            found += [n * step for n in range(first, first + TICKS * 3) if n * step < end]
        return _spaced([Tick(round(self._place(at), 2), at) for at in found if at <= last])

    def _place(self, seconds: float) -> float:
        if seconds <= 0:
            return 0.0
        for (begin, x), (end, to) in pairwise(self.stops):
            if seconds <= end:
                return x + (seconds - begin) / (end - begin) * (to - x)
        return 100.0


def scale_of(start: datetime, busy: Iterable[tuple[datetime, datetime]], *, whole: bool = False) -> Scale:
    """An axis over all that happened. ``whole``: nothing is cut."""
    merged = _merged(((a - start).total_seconds(), (b - start).total_seconds()) for a, b in busy)
    span = max(merged[-1][1], 0.004)
    gaps = [] if whole else _idle_of(merged)
    if not gaps:
        return Scale(start, ((0.0, 0.0), (span, 100.0)), ())
    width = min(IDLE_WIDTH, IDLE_SHARE / len(gaps))
    per_second = (100 - width * len(gaps)) / max(span - sum(b - a for a, b in gaps), 0.004)
    stops, idle = [(0.0, 0.0)], []
    for begin, end in gaps:
        x = min(stops[-1][1] + (begin - stops[-1][0]) * per_second, 100 - width)
        idle.append(Idle(round(x, 2), round(width, 2), end - begin))
        stops += [(begin, x)] if begin > stops[-1][0] else []
        stops.append((end, x + width))
    if span > stops[-1][0]:
        stops.append((span, 100.0))
    return Scale(start, tuple(stops), tuple(idle))


def _merged(stretches: Iterable[Stretch]) -> list[Stretch]:
    found: list[Stretch] = [(0.0, 0.0)]
    for begin, end in sorted((max(0.0, a), max(0.0, b)) for a, b in stretches):
        if begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


def _idle_of(busy: list[Stretch]) -> list[Stretch]:
    """Gaps that are longer than all that is to be seen; a minute or two between long runs tells something."""
    gaps = [(a[1], b[0]) for a, b in pairwise(busy)]
    short = sum(end - begin for begin, end in gaps if end - begin <= IDLE_S)
    seen = short + sum(end - begin for begin, end in busy)
    return [(begin, end) for begin, end in gaps if end - begin > max(IDLE_S, seen)]


def _spaced(ticks: list[Tick]) -> tuple[Tick, ...]:
    kept: list[Tick] = []
    for tick in ticks:
        if tick.at < 96 and (not kept or tick.at - kept[-1].at >= TICK_GAP):
            kept.append(tick)
    return tuple(kept)
