"""The workers page: who is there, what each is doing now, and which lane waits for somebody."""

from __future__ import annotations

from flask import Blueprint, Response

from webapp.store import feed_workers as feed
from webapp.web import render
from webapp.web.auth import require
from webapp.web.context import get_runtime

bp = Blueprint("workers", __name__, url_prefix="/workers")


@bp.get("")
@require("read")
def index() -> Response:
    """Lanes and workers; the part is both."""
    rt = get_runtime()
    now = rt.clock()
    with rt.db.read() as conn:
        workers = feed.list_workers(conn, now)
        lanes = feed.list_lanes(conn, workers, now)
    return render.page_or_part("workers/index.html", "workers/_body.html", workers=workers, lanes=lanes)
