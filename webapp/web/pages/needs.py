"""The two buttons of a group of deliveries that need action. The list itself is a view of ``pages/deliveries``."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp.domain.errors import NotFound
from webapp.services import needs
from webapp.store.feed_needs import GroupKey
from webapp.web.answers import done
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime

bp = Blueprint("needs", __name__, url_prefix="/needs")


@bp.post("/retry")
@require("operate")
def retry() -> Response:
    """Try all of a group again."""
    count = needs.retry_group(get_runtime(), current_actor(), _group(), request.form.get("reason", ""))
    return done(f"{_counted(count)} tried again", back=url_for("deliveries.index"))


@bp.post("/dismiss")
@require("operate")
def dismiss() -> Response:
    """Nothing needs to be done about a group."""
    count = needs.dismiss_group(get_runtime(), current_actor(), _group(), request.form.get("reason", ""))
    return done(f"{_counted(count)} dismissed", back=url_for("deliveries.index"))


@bp.get("/retry")
@bp.get("/dismiss")
@require("read")
def look_first() -> AnyResponse:
    """The address of a button that was reloaded leads back to the list."""
    return redirect(url_for("deliveries.index"), 303)


def _group() -> GroupKey:
    key = GroupKey.parse(request.form.get("group", ""))
    if key is None:
        raise NotFound("There is no such group.")
    return key


def _counted(count: int) -> str:
    return f"{count:,} {'delivery is' if count == 1 else 'deliveries are'}"
