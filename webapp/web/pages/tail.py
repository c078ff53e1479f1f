"""The live tail: events as they come. The page hears that something came and fetches what is new, at most once a second.

However many came, it gets the newest ``SHOWN``; the others are in the list of events. Events of several processes may
become visible a little out of order, so every look reaches back a moment, and the page puts rows where they belong.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from flask import Blueprint, Response, request
from sqlalchemy import Connection

from webapp.domain.ids import made_at
from webapp.store import feed_events as feed
from webapp.store.feed_events import EventRow
from webapp.store.paging import NEWER_CAP
from webapp.web import render
from webapp.web.answers import url_with
from webapp.web.auth import require
from webapp.web.context import get_runtime
from webapp.web.pages.events import QUERY_CHARS, Wanted

bp = Blueprint("tail", __name__, url_prefix="/tail")

SHOWN = 100
OPEN_ASKED = 30  # rows whose event was not done when they were drawn: looked at again
LATE = timedelta(seconds=3)


@bp.get("")
@require("read")
def index() -> Response:
    """The newest; the rest of the page comes by itself."""
    wanted = _wanted()
    _, fault = wanted.condition()
    with get_runtime().db.read() as conn:
        rows = () if fault else feed.list_events(conn, wanted.to_store(), limit=SHOWN).rows
    return render.part(
        "tail/index.html",
        rows=rows,
        wanted=wanted,
        query_fault=fault,
        rows_url=url_with("/tail/rows", q=wanted.q),
        newer_url=url_with("/tail/newer", q=wanted.q),
        events_url=url_with("/events", q=wanted.q),
    )


@bp.get("/rows")
@require("read")
def rows() -> Response:
    """What came after ``after``, the newest ``SHOWN`` of it, and the rows of ``open`` as they are now."""
    wanted, after = _wanted(), request.args.get("after", "")[:64]
    _, fault = wanted.condition()
    with get_runtime().db.read() as conn:
        came, has_more = ((), False) if fault else _came(conn, wanted, after)
        still = feed.rows_by_uid(conn, _open_ones(came)) if not fault else ()
    found = sorted({row.uid: row for row in (*still, *came)}.values(), key=lambda row: row.uid, reverse=True)
    return render.part("tail/_rows.html", rows=found, has_more=has_more)


@bp.get("/newer")
@require("read")
def newer() -> Response:
    """How many came after ``after``: what the page says while it stands still."""
    wanted, after = _wanted(), request.args.get("after", "")[:64]
    _, fault = wanted.condition()
    with get_runtime().db.read() as conn:
        count = 0 if fault else feed.count_newer(conn, _since(wanted, after), after)
    return render.part("tail/_newer.html", count=count, cap=NEWER_CAP)


def _wanted() -> Wanted:
    return Wanted(q=request.args.get("q", "").strip()[:QUERY_CHARS])


def _since(wanted: Wanted, after: str) -> feed.EventFilter:
    """The filter from a moment before that event on, so that a search never looks through what is shown already."""
    at = made_at(after)
    return replace(wanted.to_store(), since=at - LATE) if at is not None else wanted.to_store()


def _came(conn: Connection, wanted: Wanted, after: str) -> tuple[tuple[EventRow, ...], bool]:
    page = feed.list_events(conn, _since(wanted, after), limit=SHOWN)
    return page.rows, bool(after) and page.older is not None and page.rows[-1:] != () and page.rows[-1].uid > after


def _open_ones(came: tuple[EventRow, ...]) -> list[str]:
    asked = request.args.get("open", "")[: OPEN_ASKED * 40].split(",")[:OPEN_ASKED]
    return [uid for uid in asked if made_at(uid) is not None and uid not in {row.uid for row in came}]
