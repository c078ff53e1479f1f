"""The history of a subscription: who changed what and when, the difference of any two versions, and back to one."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response as AnyResponse

from webapp.domain.errors import NotFound
from webapp.domain.versions import field_changes
from webapp.services import subscriptions as service
from webapp.services.catalog import known_handlers
from webapp.store import versions
from webapp.store.feed_deliveries import find_delivery
from webapp.web import render
from webapp.web.answers import done, url_with
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.pages.subscriptions import find

bp = Blueprint("subscription_history", __name__, url_prefix="/subscriptions")


@bp.get("/<subscription_id>/history")
@require("read")
def show(subscription_id: str) -> Response:
    """Versions, newest first, and what differs between two: unless others are named, the newest and the one before.

    ``ran`` names a delivery that ran under the version ``to``, which is then on the page and marked.
    """
    rt, before, wanted = get_runtime(), _number(request.args.get("before", "")), _number(request.args.get("to", ""))
    with rt.db.read() as conn:
        subscription = find(conn, subscription_id)
        ran = _delivery_of(conn, subscription_id, request.args.get("ran", "")[:64]) if wanted else ""
        page = versions.newest(conn, subscription_id, before)
        if ran and wanted and before is None and wanted not in [row.revision for row in page.rows]:
            before = wanted + 1
            page = versions.newest(conn, subscription_id, before)
        newer = wanted or next((row.revision for row in page.rows), None)
        below = versions.newest(conn, subscription_id, newer, limit=1).rows
        older = _number(request.args.get("from", "")) or (below[0].revision if below else None)
        pair = [versions.get(conn, subscription_id, one) for one in (older, newer) if one is not None]
    changes = field_changes(pair[0].document, pair[1].document, known_handlers(rt)) if len(pair) == 2 else ()
    is_hidden = not current_actor().can("design")
    return render.part(
        "subscriptions/history.html",
        subscription=subscription,
        rows=page.rows,
        pair=pair,
        ran=ran,
        changes=[one for one in changes if not (is_hidden and one.field == "options")],
        options_hidden=is_hidden and any(one.field == "options" for one in changes),
        following=url_with(request.path, before=page.next) if page.next else None,
        first=request.path if before else None,
    )


@bp.post("/<subscription_id>/restore")
@require("design")
def restore(subscription_id: str) -> Response:
    """Make it again what it was, unless somebody changed it since the page was shown."""
    version, revision = _number(request.form.get("version", "")), _number(request.form.get("revision", ""))
    if version is None or revision is None:
        raise NotFound("There is no such version.")
    service.restore(get_runtime(), current_actor(), subscription_id, version, revision)
    there = url_for("subscription_history.show", subscription_id=subscription_id)
    return done(f"Version {version} is in force again", back=there, go=there)


@bp.get("/<subscription_id>/restore")
@require("read")
def look_first(subscription_id: str) -> AnyResponse:
    """The address of a button that was reloaded leads back to the history."""
    return redirect(url_for("subscription_history.show", subscription_id=subscription_id), 303)


def _delivery_of(conn: Connection, subscription_id: str, delivery_id: str) -> str:
    """The id, when it is that of a delivery of this subscription."""
    found = find_delivery(conn, delivery_id) if delivery_id else None
    return delivery_id if found is not None and found.subscription_id == subscription_id else ""


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
