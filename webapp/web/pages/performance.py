"""The performance page: throughput, success, waiting and running times over the last hour or day, as SVG."""

from __future__ import annotations

from flask import Blueprint, Response, request

from webapp.store.feed_workers import list_lanes, list_workers
from webapp.store.stats import read_performance, window_of
from webapp.web import charts, render
from webapp.web.answers import url_with
from webapp.web.auth import require
from webapp.web.context import get_runtime

bp = Blueprint("performance", __name__, url_prefix="/performance")


@bp.get("")
@require("read")
def index() -> Response:
    """Figures, charts, lanes and subscriptions; the part is all of it."""
    rt, table = get_runtime(), request.args.get("table") == "1"
    window = "day" if request.args.get("window") == "day" else ""
    now = rt.clock()
    with rt.db.read() as conn:
        seen = read_performance(conn, window_of(window, now))
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
