"""The numbers of the charts, read once for everybody who looks and kept for a moment.

A day of a busy hub is a million counters, and open pages ask every few seconds: whoever finds the numbers too old
reads them, the others wait for it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from flask import current_app, request
from sqlalchemy import Connection

from webapp.store.marks import Change, changes_since
from webapp.store.stats import RANGES, Performance, read_performance, window_of
from webapp.web.charts import Chart, draw
from webapp.web.plots import Plot, plots_of

KEPT = {
    "1h": timedelta(seconds=4),
    "6h": timedelta(seconds=15),
    "24h": timedelta(seconds=45),
    "7d": timedelta(minutes=5),
}
NAME = "signalbox.performance"


@dataclass(frozen=True, slots=True)
class Figures:
    """One window: its numbers, and what changed in it."""

    seen: Performance
    changes: tuple[Change, ...]

    def charts(self, *wanted: str, zone: str) -> list[tuple[Plot, Chart]]:
        """The plots of those names, or all, each with its drawing in that time zone."""
        plots = (plot for plot in plots_of(self.seen) if not wanted or plot.id in wanted)
        return [(plot, draw(plot, self.seen.window, self.changes, zone)) for plot in plots]


@dataclass(slots=True)
class _Kept:
    figures: Figures | None = None
    until: datetime | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


def wanted_range() -> str:
    """The stretch that the address asks for."""
    name = request.args.get("range", "")
    return name if name in RANGES else "1h"


def read_figures(conn: Connection, name: str, now: datetime) -> Figures:
    """The numbers of that stretch, at most as old as ``KEPT`` says."""
    kept: _Kept = current_app.extensions.setdefault(NAME, {one: _Kept() for one in KEPT})[name]
    with kept.lock:
        if kept.figures is None or kept.until is None or now >= kept.until:
            window = window_of(name, now)
            kept.figures = Figures(read_performance(conn, window), changes_since(conn, window.at(0)))
            kept.until = now + KEPT[name]
        return kept.figures
