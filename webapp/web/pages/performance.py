"""The performance page: throughput, success, queue, waiting and running times over an hour to a week, with what changed."""

from __future__ import annotations

from flask import Blueprint, Response, request

from webapp.store.feed_workers import list_lanes, list_workers
from webapp.web import charts, render
from webapp.web.answers import url_with
from webapp.web.api.blueprint import answer
from webapp.web.auth import require
from webapp.web.context import get_runtime
from webapp.web.figures import KEPT, Figures, read_figures, wanted_range
from webapp.web.plots import href_of, to_json, words_of
from webapp.web.preferences import present_preferences

RANGE_WORDS = {"1h": "Hour", "6h": "6 hours", "24h": "24 hours", "7d": "7 days"}

bp = Blueprint("performance", __name__, url_prefix="/performance")


@bp.get("")
@require("read")
def index() -> Response:
    """Figures, charts, lanes and subscriptions; the part is all of it, its charts left to the page that has them."""
    rt, table = get_runtime(), request.args.get("table") == "1"
    name, now = wanted_range(), rt.clock()
    with rt.db.read() as conn:
        figures = read_figures(conn, name, now)
        lanes = list_lanes(conn, list_workers(conn, now), now)
    there = {"range": "" if name == "1h" else name}
    return render.page_or_part(
        "performance/index.html",
        "performance/_body.html",
        seen=figures.seen,
        lanes=lanes,
        table=table,
        here=url_with(request.path, **there, table="1" if table else "", charts="kept"),
        table_url=url_with(request.path, **there, table="" if table else "1"),
        said=charts.seconds_in_words,
        **charts_context(figures, name, "/performance"),
    )


@bp.get("/series")
@require("read")
def series() -> Response:
    """The charts as numbers, for the page that draws them itself."""
    rt, name = get_runtime(), wanted_range()
    with rt.db.read() as conn:
        figures = read_figures(conn, name, rt.clock())
    next_ms = round(KEPT[name].total_seconds() * 1000)
    return answer(to_json(figures.seen, figures.changes, next_ms), headers={"Cache-Control": "no-store"})


def charts_context(figures: Figures, name: str, path: str, *wanted: str) -> dict[str, object]:
    """What ``performance/_charts.html`` draws. A page that has its charts keeps them, so they are not drawn again."""
    kept = render.wants_part() and request.args.get("charts") == "kept"
    return {
        "charts": [] if kept else figures.charts(*wanted, zone=present_preferences().shown_zone),
        "charts_kept": kept,
        "changes": [] if kept else [(one, words_of(one), href_of(one)) for one in reversed(figures.changes)],
        "shown_range": name,
        "ranges": {
            one: (words, url_with(path, range="" if one == "1h" else one)) for one, words in RANGE_WORDS.items()
        },
        "in_words": charts.in_words,
    }
