"""Every part that pages are made of, in every state, drawn by the same macros: the place to look before and after a change."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Response, request

from webapp.domain.lifecycle import State
from webapp.web import render
from webapp.web.auth import require
from webapp.web.context import get_runtime

bp = Blueprint("styleguide", __name__)

THEMES = ("system", "light", "dark")
STATES = {
    "Deliveries": tuple(str(state) for state in State),
    "Events": ("processing", "succeeded", "partial", "failed", "rejected", "unrouted"),
    "Tries": ("success", "error", "timed_out", "crashed", "discarded", "snoozed", "interrupted", "lost"),
    "Subscriptions": ("active", "paused", "releasing", "breaker_open", "breaker_half_open"),
    "Workers": ("busy", "idle", "stopping", "lost"),
    "Severities": ("info", "warning", "error"),
}
FAULTS = {"name": "Use 1 to 80 printable characters.", "payload": ["Line 2: a comma is missing."]}
BROKEN = '{\n  "amount": 129.5\n  "currency": "EUR"\n}'
JSON = '{"amount":129.5,"currency":"EUR","paid":true,"lines":[{"sku":"A-1","count":2}],"note":null}'


BARS = (  # state, words, where and how wide in per cent, seconds
    ("failed", "Attempt 1 · HTTP 503", 2, 20, 0.8),
    ("waiting", "Waits for attempt 2", 22, 34, 1.4),
    ("succeeded", "Attempt 2 · Succeeded", 56, 12, 0.4),
    ("running", "Another delivery, running", 68, 32, 1.2),
)


@bp.get("/styleguide")
@require("read")
def index() -> Response:
    """On one page; ``?theme=`` shows it light or dark, whatever was chosen."""
    now, theme = get_runtime().clock(), request.args.get("theme", "")
    return render.part(
        "styleguide/index.html",
        forced_theme=theme if theme in THEMES else "",
        themes=THEMES,
        states=STATES,
        faults=FAULTS,
        broken=BROKEN,
        json=JSON,
        now=now,
        earlier=now - timedelta(minutes=3),
        later=now + timedelta(minutes=18),
        bars=BARS,
        series=[2, 4, 3, 8, 13, 9, 6, 0, 0, 5, 7, 11, 12, 6, 4, 2],
        failed=[0, 0, 0, 1, 4, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
    )
