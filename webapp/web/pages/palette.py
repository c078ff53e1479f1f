"""The command palette: any page, and any event, delivery, subscription, event type, source or schedule by name or id."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from flask import Blueprint, Response, request

from webapp.domain.access import Actor
from webapp.store import feed_palette
from webapp.store.feed_palette import Hit
from webapp.web import render
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.navigation import places_for

bp = Blueprint("palette", __name__)

LONGEST = 200
PLACES_SHOWN = 8  # beside hits; all of them while nothing is typed
KINDS = {
    "event": ("Events", "zap", "/events/"),
    "delivery": ("Deliveries", "send", "/deliveries/"),
    "subscription": ("Subscriptions", "split", "/subscriptions/"),
    "source": ("Sources", "plug", "/sources/"),
    "schedule": ("Schedules", "calendar-clock", "/schedules/"),
    "event type": ("Event types", "shapes", "/event-types/"),
}


@dataclass(frozen=True, slots=True)
class Option:
    """One line to choose."""

    href: str
    label: str
    icon: str
    about: str = ""
    key: str = ""


@bp.get("/palette")
@require("read")
def show() -> Response:
    """What fits the words, by kind; a part for the dialog."""
    words = request.args.get("q", "").strip()[:LONGEST].replace("\x00", "")
    groups = _hits(words) if words else {}
    if places := _places(current_actor(), words):
        groups["Pages"] = places
    return render.part("palette/_found.html", groups=groups, words=words)


def _hits(words: str) -> dict[str, list[Option]]:
    with get_runtime().db.read() as conn:
        hits = feed_palette.find(conn, words)
    groups: dict[str, list[Option]] = {}
    for hit in hits:
        groups.setdefault(KINDS[hit.kind][0], []).append(_option(hit))
    return groups


def _option(hit: Hit) -> Option:
    _, icon, folder = KINDS[hit.kind]
    return Option(folder + quote(hit.id, safe=""), hit.name, icon, hit.about)


def _places(actor: Actor, words: str) -> list[Option]:
    wanted = words.lower().split()
    found = [
        Option(place.path, place.label, place.icon, place.group, f"g {place.key}" if place.key else "")
        for place in places_for(actor)
        if all(word in f"{place.label} {place.group}".lower() for word in wanted)
    ]
    return found[:PLACES_SHOWN] if words else found
