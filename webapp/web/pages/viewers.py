"""Who looks at an event, a delivery or a subscription right now: a part of its page."""

from __future__ import annotations

from flask import Blueprint, Response

from webapp.domain.errors import NotFound
from webapp.store.feed_viewers import is_there, names_of
from webapp.web import render
from webapp.web.auth import current_actor, require
from webapp.web.context import get_hub
from webapp.web.viewing import PAGE

bp = Blueprint("viewers", __name__, url_prefix="/viewers")


@bp.get("/<noun>/<key>")
@require("read")
def show(noun: str, key: str) -> Response:
    """Their names, whoever asks among them; empty when that is all."""
    hub = get_hub()
    people = hub.viewers.of(f"{noun}:{key}") | {current_actor().id}
    with hub.rt.db.read() as conn:
        if not PAGE.fullmatch(f"{noun}:{key}") or not is_there(conn, noun, key):
            raise NotFound("There is no such page.")
        names = list(names_of(conn, people).values())
    return render.part("viewers/_people.html", names=names)
