"""Notifications of the signed-in person: the inbox, what is done with one, what is shown at once as toasts."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for

from webapp.domain.errors import NotFound
from webapp.domain.notices import KINDS, SEVERITIES
from webapp.services import inbox, operate
from webapp.store import feed_notifications as feed
from webapp.web import render
from webapp.web.answers import done, paging
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime

bp = Blueprint("notifications", __name__, url_prefix="/notifications")

MOVED = {"read": "Marked as read", "unread": "Marked as unread", "archived": "Archived"}


@bp.get("")
@require("read")
def index() -> Response:
    """The inbox, newest first; the part is the list."""
    rt, user, before = get_runtime(), current_actor().id, request.args.get("before", "")[:64]
    wanted = {"view": feed.VIEWS, "severity": SEVERITIES, "kind": tuple(KINDS)}
    filters = {name: value if (value := request.args.get(name, "")) in known else "" for name, known in wanted.items()}
    with rt.db.read() as conn:
        page = feed.list_notifications(conn, user, rt.clock(), before=before, **filters)  # type: ignore[arg-type]
        unread = feed.count_unread(conn, user, rt.clock())
    return render.page_or_part(
        "notifications/index.html",
        "notifications/_list.html",
        found=page,
        unread=unread,
        severities=SEVERITIES,
        kinds=KINDS,
        muted=inbox.get_preferences(rt, current_actor()),
        **paging(filters, before, page.next),
    )


@bp.get("/unread")
@require("read")
def unread() -> Response:
    """The number beside the link."""
    rt = get_runtime()
    with rt.db.read() as conn:
        count = feed.count_unread(conn, current_actor().id, rt.clock())
    return render.part("notifications/_unread.html", unread=count)


@bp.get("/toasts")
@require("read")
def toasts() -> Response:
    """What came above the id that the page saw last, three at most, and the ids of others; 204 when nothing did."""
    rt, after = get_runtime(), request.args.get("after", "")[:64]
    with rt.db.read() as conn:
        rows, others = feed.new_toasts(conn, current_actor().id, feed.overlapping(after), rt.clock())
    if not rows:
        return Response(status=204)
    return render.part("notifications/_toasts.html", rows=rows, others=others, seen=rows[-1].id)


@bp.get("/<notification_id>/toast")
@require("read")
def toast(notification_id: str) -> Response:
    """That notification as a toast."""
    with get_runtime().db.read() as conn:
        found = feed.find_notification(conn, current_actor().id, notification_id)
    if found is None:
        raise NotFound("There is no such notification.")
    return render.part("notifications/_toast.html", notification=found)


@bp.post("/read")
@require("read")
def read() -> Response:
    """Mark all read, for this person."""
    inbox.mark_all_read(get_runtime(), current_actor())
    return _done("All notifications are read")


@bp.post("/<notification_id>/<any(read, unread, archived):state>")
@require("read")
def move(notification_id: str, state: str) -> Response:
    """Of one notification, for this person."""
    inbox.move(get_runtime(), current_actor(), notification_id, state)
    return _done(MOVED[state])


@bp.post("/<notification_id>/snooze")
@require("read")
def snooze(notification_id: str) -> Response:
    """Out of sight for a while."""
    inbox.snooze(get_runtime(), current_actor(), notification_id, request.form.get("for", ""))
    return _done("Snoozed")


@bp.post("/<notification_id>/acknowledge")
@require("operate")
def acknowledge(notification_id: str) -> Response:
    """Say to everybody that one takes care of it."""
    inbox.acknowledge(get_runtime(), current_actor(), notification_id)
    return _done("Everybody sees that you take care of it")


@bp.post("/<notification_id>/retry")
@require("operate")
def retry(notification_id: str) -> Response:
    """Try the delivery that it is about once more; it is read then."""
    rt, actor = get_runtime(), current_actor()
    with rt.db.read() as conn:
        found = feed.find_notification(conn, actor.id, notification_id)
    if found is None or found.delivery_id is None:
        raise NotFound("There is nothing to retry any more.")
    operate.retry(rt, actor, found.delivery_id)
    inbox.move(rt, actor, notification_id, "read")
    return _done("It is tried again")


@bp.post("/mute")
@require("read")
def mute() -> Response:
    """Hear no more of a kind or of a subscription, or again."""
    off = request.form.get("off") == "1"
    kind, subscription = request.form.get("kind", ""), request.form.get("subscription", "")
    inbox.mute(get_runtime(), current_actor(), kind=kind, subscription_id=subscription, off=off)
    what = KINDS.get(kind, "That subscription")
    return _done(f"{what}: you are told again" if off else f"{what}: you are told no more. Undo it in the preferences.")


def _done(message: str) -> Response:
    return done(message, back=url_for("notifications.index"))
