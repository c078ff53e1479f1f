"""Every part that pages are made of, in every state, drawn by the same macros: the place to look before and after a change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Blueprint, Response, request

from webapp.domain.lifecycle import State
from webapp.web import render
from webapp.web.auth import require
from webapp.web.context import get_runtime
from webapp.web.waterfall import Bar, Step, Tick, Waterfall

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
DRAWN = Waterfall(
    ticks=(Tick(0, 0), Tick(25, 1), Tick(50, 2), Tick(75, 3)),
    steps=(
        Step("attempt", "success", "succeeded", Bar(2, 12), 0.41, n=1),
        Step("attempt", "HTTP 503", "failed", Bar(16, 20), 0.8, n=1),
        Step("due", "wait", "waiting", Bar(36, 34, pale=True), n=2),
        Step("running", "running", "running", Bar(70, 30), n=2),
    ),
    more=0,
)


@dataclass(frozen=True, slots=True)
class Sample:
    """As much of an event as the timeline wants to know."""

    received_at: datetime
    status: str = "processing"
    total: int = 2


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
        fall=DRAWN,
        event=Sample(now - timedelta(seconds=4)),
        series=[2, 4, 3, 8, 13, 9, 6, 0, 0, 5, 7, 11, 12, 6, 4, 2],
        failed=[0, 0, 0, 1, 4, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
    )
