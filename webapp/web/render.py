"""How an answer becomes HTML: a page, or the part of it that htmx asked for; and words for toasts.

One rendering path: the page includes the part's file. The only room that asks flask-htmx anything, and
every such answer says ``Vary: HX-Request``, or caches would hand parts to people who asked for pages.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, g, make_response, render_template
from flask_htmx import HTMX

from webapp.domain.access import Actor
from webapp.domain.errors import HubError
from webapp.store import feed_events
from webapp.store.feed_events import ACTION_CAP, NavCounts
from webapp.store.feed_notifications import newest_ids
from webapp.store.paging import COUNT_CAP
from webapp.web import filters
from webapp.web.auth import find_actor
from webapp.web.context import get_hub, get_runtime
from webapp.web.navigation import crumbs_of, is_here, places_for
from webapp.web.preferences import present_preferences
from webapp.web.progress import init_progress

htmx = HTMX()


@dataclass(frozen=True, slots=True)
class NavCount:
    """What stands beside a link of the sidebar; ``tone`` is "act" (red) only when somebody must act."""

    text: str = ""
    tone: str = ""


def init_render(app: Flask) -> None:
    """Filters, globals and the context that every template has."""
    htmx.init_app(app)
    filters.install(app, lambda: get_runtime().clock(), present_preferences)
    init_progress(app, lambda: get_runtime().clock())
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(
        nav_count=nav_count,
        nav_counts=_nav_counts,
        newest_notification=_newest_notification,
        is_here=is_here,
        nav_places=lambda: places_for(_actor()),
        crumbs_here=crumbs_of,
        read_only_mode=lambda: get_hub().read_only.find(),
        server_now=lambda: filters.iso(get_runtime().clock()),
    )
    app.context_processor(_context)


def wants_part() -> bool:
    """Whether htmx asks for a part. Back-button restores and boosted links want the page."""
    return bool(htmx) and not htmx.history_restore_request and not htmx.boosted


def page_or_part(page: str, part: str, /, **context: Any) -> Response:
    """The part for htmx, the page for everybody else."""
    response = make_response(render_template(part if wants_part() else page, **context))
    response.vary.add("HX-Request")
    return response


def part(template: str, /, *, status: int = 200, **context: Any) -> Response:
    """A part that has an address of its own."""
    response = make_response(render_template(template, **context), status)
    response.vary.add("HX-Request")
    return response


def toast(response: Response, text: str, *, tone: str = "succeeded", link: str = "", **events: Any) -> Response:
    """Have the browser show a toast, and dispatch other events beside it."""
    told = json.loads(response.headers.get("HX-Trigger", "{}"))
    told |= {"toast": {"text": text, "tone": tone, "link": link}, **events}
    response.headers["HX-Trigger"] = json.dumps(told)  # ASCII, so no byte of it can end the header
    return response


def nav_count(name: str, counts: NavCounts | None) -> NavCount:
    """The words of one count."""
    if counts is None:
        return NavCount()
    n = getattr(counts, name)
    if name == "deliveries":
        return NavCount(f"{filters.capped(n, ACTION_CAP)} need{'s' * (n == 1)} action", "act") if n else NavCount()
    if name == "notifications":
        return NavCount(_short(n), "new") if n else NavCount()
    return NavCount(_short(n) if n or name in ("events", "workers") else "")


def _short(n: int) -> str:
    return filters.capped(n, COUNT_CAP)


def _nav_counts() -> NavCounts | None:
    """Read once per request; ``None`` when nobody is signed in or the database does not answer (error pages)."""
    if "nav_counts" not in g:
        g.nav_counts = _read_nav_counts()
    counts: NavCounts | None = g.nav_counts
    return counts


def tell_nav_counts(counts: NavCounts) -> NavCounts:
    """From a view that has read them itself."""
    g.nav_counts = counts
    return counts


def _read_nav_counts() -> NavCounts | None:
    actor = _actor()
    if actor is None:
        return None
    try:
        rt = get_runtime()
        with rt.db.read() as conn:
            return feed_events.nav_counts(conn, user_id=actor.id, now=rt.clock())
    except HubError:
        return None


def _newest_notification() -> str:
    """The page shows as toasts what comes after it; with those of just before, which are no news either."""
    actor = _actor()
    if actor is None:
        return ""
    try:
        with get_runtime().db.read() as conn:
            return " ".join(newest_ids(conn, actor.id))
    except HubError:
        return ""


def _actor() -> Actor | None:
    """The person who is signed in, for the shell of the page."""
    try:
        actor = find_actor()
    except HubError:
        return None
    return actor if actor is not None and actor.kind == "user" else None


def _context() -> dict[str, Any]:
    actor = _actor()
    return {"actor": actor, "signed_in": actor is not None, "may": lambda verb: actor is not None and actor.can(verb)}
