"""Where one can go: the one list behind the sidebar, the palette, the shortcuts and the breadcrumbs of settings."""

from __future__ import annotations

from dataclasses import dataclass

from flask import request

from webapp.domain.access import Actor


@dataclass(frozen=True, slots=True)
class Place:
    """A page. ``group`` is its heading in the sidebar; one without ``is_listed`` is found by the palette only."""

    path: str
    label: str
    icon: str
    group: str = ""
    count: str = ""  # of ``NavCounts``
    verb: str = "read"
    key: str = ""  # after "g"
    is_listed: bool = True


ROUTE, WATCH, SETTINGS = "Route", "Watch", "Settings"
PLACES = (
    Place("/", "Overview", "layout-dashboard", key="o"),
    Place("/events", "Events", "zap", count="events", key="e"),
    Place("/deliveries", "Deliveries", "send", count="deliveries", key="d"),
    Place("/errors", "Errors", "triangle-alert", count="errors", key="x"),
    Place("/bulk", "Bulk operations", "layers", key="b"),
    Place("/transfers", "Exports", "file-down", key="f"),
    Place("/subscriptions", "Subscriptions", "split", ROUTE, count="subscriptions", key="s"),
    Place("/event-types", "Event types", "shapes", ROUTE, key="t"),
    Place("/schedules", "Schedules", "calendar-clock", ROUTE, key="c"),
    Place("/sources", "Sources", "plug", ROUTE, key="i"),
    Place("/performance", "Performance", "gauge", WATCH, key="p"),
    Place("/workers", "Workers", "cpu", WATCH, count="workers", key="w"),
    Place("/notifications", "Notifications", "bell", WATCH, count="notifications", key="n"),
    Place("/audit", "Audit log", "scroll-text", WATCH, key="a"),
    Place("/settings/users", "Users", "users", SETTINGS, verb="administer"),
    Place("/settings/keys", "API keys", "key-round", SETTINGS, verb="administer"),
    Place("/api", "API docs", "book-open", SETTINGS),
    Place("/settings/secrets", "Secrets", "lock", SETTINGS, verb="administer", is_listed=False),
    Place("/settings/environment", "Environment", "sliders-horizontal", SETTINGS, verb="administer", is_listed=False),
    Place("/settings/read-only", "Read-only mode", "lock", SETTINGS, verb="administer", is_listed=False),
    Place("/settings/account", "Your account", "circle-user-round", SETTINGS, is_listed=False),
    Place("/preferences", "Appearance and times", "palette", SETTINGS, is_listed=False),
    Place("/styleguide", "Style guide", "palette", SETTINGS, is_listed=False),
    Place("/explain", "Try an event", "flask-conical", ROUTE, is_listed=False),
    Place("/events/new", "Submit an event", "plus", verb="publish", is_listed=False),
    Place("/transfers/import", "Import events", "plus", verb="publish", is_listed=False),
    Place("/subscriptions/new", "New subscription", "plus", ROUTE, verb="design", is_listed=False),
    Place("/schedules/new", "New schedule", "plus", ROUTE, verb="design", is_listed=False),
    Place("/sources/new", "New source", "plus", ROUTE, verb="design", is_listed=False),
    Place("/event-types/-/new", "New event type", "plus", ROUTE, verb="design", is_listed=False),
)  # fmt: skip


def places_for(actor: Actor | None) -> list[Place]:
    """Those that this person may open."""
    return [place for place in PLACES if actor is not None and actor.can(place.verb)]


def is_here(href: str) -> bool:
    """Whether the present page is that one or below it."""
    path = request.path
    return path == href or (href != "/" and path.startswith(href + "/"))


def crumbs_of() -> list[tuple[str, str]]:
    """The way to a page that is below none of the lists: pairs of address and words, the last one is the page."""
    here = next((place for place in PLACES if place.path == request.path and place.group == SETTINGS), None)
    if here is None or here.path == "/api":
        return []
    above = "/api" if here.path == "/styleguide" else "/settings/account"
    words = "API docs" if above == "/api" else SETTINGS
    return [(above, words), (here.path, here.label)] if here.path != above else [(here.path, here.label)]
