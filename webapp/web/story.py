"""The context of the timeline of an event: one axis for all that led to what.

What moves is read at every refresh of the page (``story_of``), what does not only when it is opened (``background_of``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flask import request
from sqlalchemy import Connection

from webapp.store.feed_event_types import faults_of_event
from webapp.store.feed_events import EventDetail, EventProgress
from webapp.store.feed_lineage import children_of, lineage_of
from webapp.store.feed_story import Happening, actions_on, notices_of, previous_of, request_of, schema_of
from webapp.web import waterfall
from webapp.web.answers import url_with

VIEWS = ("idle", "list")  # of the timeline, as ``?timeline=``: nothing cut; in words


def story_of(conn: Connection, event: EventDetail, progress: EventProgress, now: datetime) -> dict[str, Any]:
    """What ``events/_timeline.html`` draws."""
    view = request.args.get("timeline", "")
    view = view if view in VIEWS else ""
    told = _happenings(conn, event, [one.id for one in progress.deliveries])
    return {
        "fall": waterfall.draw(event, progress.deliveries, progress.attempts, now, told, whole=view == "idle"),
        "timeline_view": view,
        "verdict": faults_of_event(conn, event.uid),
        "schema_version": schema_of(conn, event.type, event.version, event.received_at),
        "live_url": url_with(f"/events/{event.uid}/live", timeline=view),
    }


def background_of(conn: Connection, event: EventDetail) -> dict[str, Any]:
    """What the page says beside it: where the event came from, and what it is compared with."""
    return {
        "lineage": lineage_of(conn, event.uid, event.causation_id),
        "previous_uid": previous_of(conn, event.uid, event.type, event.source),
        "origin_link": origin_link(event.received_by),
        "request_link": _request_link(conn, event),
    }


def origin_link(received_by: str) -> str:
    """The page of the source or the schedule that an event came from, or ""."""
    _, _, key = received_by.partition(":")
    noun = {"src": "sources", "sch": "schedules"}.get(key.partition("_")[0])
    return f"/{noun}/{key}" if noun else ""


def _happenings(conn: Connection, event: EventDetail, deliveries: Sequence[str]) -> list[Happening]:
    rows, _ = children_of(conn, event.uid)
    children = [
        Happening("child", one.received_at, one.type, one.source, f"/events/{one.uid}", one.status) for one in rows
    ]
    return [*actions_on(conn, event.uid, deliveries), *notices_of(conn, event.uid), *children]


def _request_link(conn: Connection, event: EventDetail) -> str:
    """The request of an inbound source that brought the event, while it is kept."""
    there = origin_link(event.received_by)
    if not there.startswith("/sources/"):
        return ""
    found = request_of(conn, there.rpartition("/")[2], event.uid, event.received_at)
    return f"{there}/requests/{found}" if found else ""
