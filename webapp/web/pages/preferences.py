"""Appearance and times: a part for the menu at the user's name, a page for whoever has no JavaScript."""

from __future__ import annotations

from flask import Blueprint, Response, g

from webapp.domain.preferences import NAMES, Preferences, zones
from webapp.services.preferences import set_preferences
from webapp.web import render
from webapp.web.answers import done
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.preferences import keep_preferences, present_preferences
from webapp.web.requests import read_form

bp = Blueprint("preferences", __name__)


@bp.get("/preferences")
@require("read")
def show() -> Response:
    """What is chosen now, and everything that could be."""
    return render.page_or_part(
        "preferences/index.html", "preferences/_form.html", chosen=present_preferences(), zones=zones()
    )


@bp.post("/preferences")
@require("read")
def change() -> Response:
    """Choose one thing or several; what is not sent stays. htmx gets the page again where its words change."""
    actor, before = current_actor(), present_preferences()
    sent = {name: value for name, value in read_form(*NAMES).items() if value}
    changed = set_preferences(get_runtime(), actor, sent)
    g.preferences = changed
    return keep_preferences(_answer(before, changed), actor, changed)


def _answer(before: Preferences, changed: Preferences) -> Response:
    if not render.wants_part():
        return done("Kept", back="/preferences")
    if (before.times, before.shown_zone) != (changed.times, changed.shown_zone):
        return Response(status=204, headers={"HX-Refresh": "true"})
    return Response(status=204)
