"""Answers to what people do with a button: a toast where htmx asked, a redirect with a flashed line where not.

Both say the same words, so that every action works without JavaScript.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Response, flash, make_response, redirect, request

from webapp.web import render

SINCE = {
    "15m": ("15 minutes", timedelta(minutes=15)),
    "1h": ("hour", timedelta(hours=1)),
    "24h": ("24 hours", timedelta(hours=24)),
    "7d": ("7 days", timedelta(days=7)),
}


def done(message: str, *, back: str, go: str = "", tone: str = "succeeded") -> Response:
    """Say what was done. ``back`` is where a plain browser goes; ``go`` sends an htmx page elsewhere as well."""
    if not render.wants_part() or go:
        flash(message, tone)
    if not render.wants_part():
        return make_response(redirect(go or _referrer() or back, 303))
    if go:
        return Response(status=204, headers={"HX-Redirect": go})
    changed = dict.fromkeys(("live:changed", "live:events", "live:subscriptions", "counts:changed"), "")
    return render.toast(Response(status=204), message, tone=tone, **changed)


def list_or_part(page: str, part: str, *, here: str, **context: Any) -> Response:
    """A filtered list. When its form (of id ``filters``) asked, the address bar gets the tidy address of what is shown."""
    response = render.page_or_part(page, part, here=here, **context)
    if request.headers.get("HX-Trigger") == "filters":
        response.headers["HX-Push-Url"] = here
    return response


def paging(filters: Mapping[str, Any], before: str, after_that: str | None) -> dict[str, Any]:
    """What a keyset-paged list needs to know of itself: its filters, its own address, and where older and newer are."""
    path = request.path
    return {
        "filters": dict(filters),
        "before": before,
        "here": url_with(path, **filters, before=before),
        "older": url_with(path, **filters, before=after_that) if after_that else None,
        "newest_url": url_with(path, **filters) if before else None,
        "url_with": url_with,
    }


def newer_part(noun: str, filters: Mapping[str, Any], count: Callable[[str], int]) -> Response:
    """How many came since the list of that noun was drawn, as a button that shows them."""
    newest = request.args.get("newest", "")[:64]
    return render.part("_newer.html", noun=noun, count=count(newest), filters=filters, newest=newest, url_with=url_with)


def since_of(name: str, now: datetime) -> datetime | None:
    """The start of the stretch that the filter names; ``None`` for any time (and for what it does not know)."""
    return now - SINCE[name][1] if name in SINCE else None


def url_with(path: str, **values: Any) -> str:
    """The path with those arguments that are not empty."""
    query = urlencode({key: value for key, value in values.items() if value})
    return f"{path}?{query}" if query else path


def _referrer() -> str:
    """The path of the page that the form was on, when it is ours."""
    parts = urlsplit(request.referrer or "")
    if parts.netloc != request.host or not parts.path.startswith("/") or parts.path.startswith("//"):
        return ""
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
