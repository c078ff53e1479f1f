"""The first page: is all well, what needs somebody, what just happened. And the counts beside the navigation."""

from __future__ import annotations

import logging
import threading

from flask import Blueprint, Response

from webapp.domain.errors import HubError
from webapp.runtime import Runtime
from webapp.store import feed_events, feed_needs, feed_overview, gauges
from webapp.store.feed_events import ACTION_CAP, EventFilter
from webapp.web import render
from webapp.web.answers import done, url_with
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.figures import read_figures, wanted_range
from webapp.web.health_words import health_of
from webapp.web.pages.performance import charts_context
from webapp.web.plots import OVERVIEW

bp = Blueprint("overview", __name__)

log = logging.getLogger(__name__)

RECENT = 10
NEEDS_SHOWN = 8
_playing = threading.Lock()  # one demo at a time in this process


@bp.get("/")
@require("read")
def index() -> Response:
    """What needs action, health in a line, charts, the newest; the part is all of it, its charts left to the page that has them."""
    rt, name = get_runtime(), wanted_range()
    now = rt.clock()
    with rt.db.read() as conn:
        needing = feed_needs.list_groups(conn, window=ACTION_CAP, limit=NEEDS_SHOWN)
        counts = render.tell_nav_counts(feed_events.nav_counts(conn, user_id=current_actor().id, now=now))
        paused = feed_overview.paused_subscriptions(conn)
        figures = read_figures(conn, name, now)
        hour = figures if name == "1h" else read_figures(conn, "1h", now)
        health = health_of(counts, gauges.read_gauges(conn, now), hour.seen.totals, len(paused))
        return render.page_or_part(
            "overview/index.html",
            "overview/_body.html",
            is_empty=feed_overview.is_empty(conn),
            needs=needing.rows,
            needs_more=needing.scanned_out or needing.next is not None,
            paused=paused,
            counts=counts,
            health=health,
            seen=figures.seen,
            here=url_with("/", range="" if name == "1h" else name),
            recent=feed_events.list_events(conn, EventFilter(), limit=RECENT).rows,
            **charts_context(figures, name, "/", *OVERVIEW),
        )


@bp.get("/nav/counts")
@require("read")
def nav_counts() -> Response:
    """The counts, each swapped into its place."""
    rt = get_runtime()
    with rt.db.read() as conn:
        counts = feed_events.nav_counts(conn, user_id=current_actor().id, now=rt.clock())
    return render.part("overview/_nav_counts.html", counts=counts)


@bp.post("/demo")
@require("operate")
def play_demo() -> Response:
    """Play half a minute of lively events, beside this request."""
    if not _playing.acquire(blocking=False):
        return done("The demo is playing already", back="/", tone="info")
    threading.Thread(target=_play, args=(get_runtime(),), name="demo", daemon=True).start()
    return done("The demo plays for half a minute", back="/")


def _play(rt: Runtime) -> None:
    from webapp.services import demo  # a stage set: not loaded unless it is asked for

    try:
        demo.play(rt)
    except HubError as error:
        log.warning("the demo stopped: %s", error, extra={"action": "demo_stopped"})
    finally:
        _playing.release()
