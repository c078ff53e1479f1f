"""The context of the timeline of an event: one axis for all that led to what."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flask import request
from sqlalchemy import Connection

from webapp.store.feed_event_types import faults_of_event
from webapp.store.feed_events import EventDetail, EventProgress
from webapp.store.feed_lineage import Lineage, lineage_of
from webapp.store.feed_story import Happening, actions_on, notices_of, origin_of
from webapp.web import waterfall
from webapp.web.answers import url_with

VIEWS = ("idle", "list")  # of the timeline, as ``?timeline=``: nothing cut; in words


def story_of(conn: Connection, event: EventDetail, progress: EventProgress, now: datetime) -> dict[str, Any]:
    """What ``events/_timeline.html`` draws, and what the page says beside it."""
    view = request.args.get("timeline", "")
    view = view if view in VIEWS else ""
    lineage = lineage_of(conn, event.uid, event.causation_id)
    told = _happenings(conn, event, [one.id for one in progress.deliveries], lineage)
    return {
        "fall": waterfall.draw(event, progress.deliveries, progress.attempts, now, told, whole=view == "idle"),
        "timeline_view": view,
        "lineage": lineage,
        "verdict": faults_of_event(conn, event.uid),
        "origin": origin_of(conn, event.uid, event.type, event.version, event.source, event.received_at),
        "origin_link": _origin_link(event.received_by),
        "live_url": url_with(f"/events/{event.uid}/live", timeline=view),
    }


def _happenings(conn: Connection, event: EventDetail, deliveries: Sequence[str], lineage: Lineage) -> list[Happening]:
    children = [
        Happening("child", one.received_at, one.type, one.source, f"/events/{one.uid}", one.status)
        for one in lineage.children
    ]
    return [*actions_on(conn, event.uid, deliveries), *notices_of(conn, event.uid, event.received_at), *children]


def _origin_link(received_by: str) -> str:
    """The page of the source or the schedule that an event came from, or ""."""
    _, _, key = received_by.partition(":")
    noun = {"src": "sources", "sch": "schedules"}.get(key.partition("_")[0])
    return f"/{noun}/{key}" if noun else ""
