"""Re-routing an event: first who would get it, then the button."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for

from webapp.services.reroute import preview, reroute
from webapp.web import render
from webapp.web.answers import done
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.pages.events import find_event

bp = Blueprint("reroute", __name__, url_prefix="/events")

SHOWN = 100


@bp.get("/<uid>/reroute")
@require("read")
def show(uid: str) -> Response:
    """Which subscriptions match now, and which of them had it."""
    event, matches = find_event(uid), preview(get_runtime(), uid)
    return render.page_or_part(
        "events/reroute.html",
        "events/_reroute.html",
        event=event,
        matches=matches[:SHOWN],
        total=len(matches),
        fresh=sum(match.had is None for match in matches),
    )


@bp.post("/<uid>/reroute")
@require("operate")
def create(uid: str) -> Response:
    """Deliver it; goes to the event."""
    made = reroute(get_runtime(), current_actor(), uid, again=request.form.get("again") == "on")
    count = len(made.deliveries)
    said = f"{count} new {'delivery' if count == 1 else 'deliveries'}" if count else "Nobody new to deliver it to"
    there = url_for("events.show", uid=uid)
    return done(said, back=there, go=there, tone="succeeded" if count else "info")
