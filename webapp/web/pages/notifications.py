"""Notifications of the signed-in person: the list, the unread count beside the link, the newest as a toast."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for

from webapp.domain.errors import NotFound
from webapp.services.inbox import mark_all_read
from webapp.store import feed_notifications as feed
from webapp.web import render
from webapp.web.answers import done, paging
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime

bp = Blueprint("notifications", __name__, url_prefix="/notifications")

SEVERITIES = ("error", "warning", "success", "info")


@bp.get("")
@require("read")
def index() -> Response:
    """The list, newest first; the part is the list."""
    before, severity = request.args.get("before", "")[:64], request.args.get("severity", "")
    severity = severity if severity in SEVERITIES else ""
    with get_runtime().db.read() as conn:
        mark = feed.read_through(conn, current_actor().id)
        page = feed.list_notifications(conn, mark, before=before, severity=severity)
        unread = feed.count_unread(conn, mark)
    return render.page_or_part(
        "notifications/index.html",
        "notifications/_list.html",
        found=page,
        unread=unread,
        severity=severity,
        severities=SEVERITIES,
        **paging({"severity": severity}, before, page.next),
    )


@bp.get("/unread")
@require("read")
def unread() -> Response:
    """The number beside the link."""
    with get_runtime().db.read() as conn:
        count = feed.count_unread(conn, feed.read_through(conn, current_actor().id))
    return render.part("notifications/_unread.html", unread=count)


@bp.get("/toast")
@require("read")
def newest_toast() -> Response:
    """The newest unread notification as a toast; 204 when there is none."""
    with get_runtime().db.read() as conn:
        mark = feed.read_through(conn, current_actor().id)
        page = feed.list_notifications(conn, mark, limit=1)
    if not page.rows or not page.rows[0].unread:
        return Response(status=204)
    return render.part("notifications/_toast.html", notification=page.rows[0])


@bp.get("/<notification_id>/toast")
@require("read")
def toast(notification_id: str) -> Response:
    """That notification as a toast."""
    with get_runtime().db.read() as conn:
        found = feed.find_notification(conn, notification_id)
    if found is None:
        raise NotFound("There is no such notification.")
    return render.part("notifications/_toast.html", notification=found)


@bp.post("/read")
@require("read")
def read() -> Response:
    """Mark all read, for this person."""
    mark_all_read(get_runtime(), current_actor())
    return done("All notifications are read", back=url_for("notifications.index"))
