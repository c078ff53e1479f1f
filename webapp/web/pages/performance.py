"""The performance page: throughput, success, waiting and running times over the last hour or day, as SVG.

The numbers are read once for everybody who looks, and kept for a moment: a day of a busy hub is a million
counters, and open pages ask every few seconds.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from flask import Blueprint, Response, current_app, request
from sqlalchemy import Connection

from webapp.store.feed_workers import list_lanes, list_workers
from webapp.store.stats import Performance, Window, read_performance, window_of
from webapp.web import charts, render
from webapp.web.answers import url_with
from webapp.web.auth import require
from webapp.web.context import get_runtime

KEPT = {"hour": timedelta(seconds=4), "day": timedelta(seconds=45)}
NAME = "signalbox.performance"


@dataclass(slots=True)
class _Kept:
    """The newest numbers of one window; whoever finds them too old reads them, the others wait for it."""

    seen: Performance | None = None
    until: datetime | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


bp = Blueprint("performance", __name__, url_prefix="/performance")


@bp.get("")
@require("read")
def index() -> Response:
    """Figures, charts, lanes and subscriptions; the part is all of it."""
    rt, table = get_runtime(), request.args.get("table") == "1"
    window = "day" if request.args.get("window") == "day" else ""
    now = rt.clock()
    with rt.db.read() as conn:
        seen = _read(conn, window_of(window, now), now)
        lanes = list_lanes(conn, list_workers(conn, now), now)
    return render.page_or_part(
        "performance/index.html",
        "performance/_body.html",
        seen=seen,
        table=table,
        here=url_with(request.path, window=window, table="1" if table else ""),
        table_url=url_with(request.path, window=window, table="" if table else "1"),
        lanes=lanes,
        events=charts.events_chart(seen),
        deliveries=charts.deliveries_chart(seen),
        waiting=charts.waiting_chart(seen),
        running=charts.running_chart(seen),
        said=charts.seconds_in_words,
    )


def _read(conn: Connection, window: Window, now: datetime) -> Performance:
    kept: _Kept = current_app.extensions.setdefault(NAME, {name: _Kept() for name in KEPT})[window.name]
    with kept.lock:
        if kept.seen is None or kept.until is None or now >= kept.until:
            kept.seen, kept.until = read_performance(conn, window), now + KEPT[window.name]
        return kept.seen
