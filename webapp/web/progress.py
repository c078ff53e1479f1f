"""Long work of every kind as one thing to show: a delivery that runs, a bulk operation, an export, an import.

``templates/_macros/progress.html`` draws it, ``static/js/progress.js`` tells those who cannot see it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from flask import Flask

from webapp.domain.progress import Progress
from webapp.web.filters import duration, number

RUNNING, ENDED = "running", ("done", "aborted")


def of_delivery(row: Any, now: datetime) -> Progress | None:
    """Of the try that runs, if its handler says how far it is. The pace is the average of the whole try."""
    if row.state != "running" or row.progress_done is None:
        return None
    elapsed = max(0.0, (now - row.started_at).total_seconds()) if row.started_at else 0.0
    rate = row.progress_done / elapsed if elapsed and row.progress_done > 0 else None
    total = row.progress_total if row.progress_total and row.progress_total > 0 else None
    message = getattr(row, "progress_message", None)
    return Progress(row.state, row.progress_done, total, elapsed, rate, elapsed, message=message)


def of_operation(row: Any, now: datetime) -> Progress:
    """Of work whose row keeps its counts and, in its options, its pace."""
    watched: Mapping[str, Any] = row.options.get("speed") or {}
    is_counting = row.state not in ENDED and not row.options.get("counted")
    over = row.done + row.failed + row.skipped
    return Progress(
        state="counting" if is_counting and row.state == RUNNING else row.state,
        done=row.total if is_counting else over,
        total=None if is_counting else over if row.state == "done" else max(row.total, over),
        elapsed_s=max(0.0, ((row.finished_at or now) - row.created_at).total_seconds()),
        rate=None if is_counting else watched.get("rate"),
        active_s=watched.get("active_s", 0.0),
        is_running=row.state == RUNNING,
    )


def left_in_words(view: Progress) -> str:
    """``about 3 min left``; ``""`` where nothing is to be told."""
    left = view.left_s
    if left is None:
        is_open = view.is_running and view.total is not None and view.done < view.total
        return "time left unknown yet" if is_open else ""
    return "less than 10 s left" if left <= 10 else f"about {duration(left)} left"


def pace_in_words(view: Progress) -> str:
    """``12 a second``, ``30 a minute``, ``4 an hour``; ``""`` while it is not known, and at the end."""
    if not view.is_running or not view.rate:
        return ""
    for seconds, unit in ((1, "a second"), (60, "a minute"), (3600, "an hour")):
        if view.rate * seconds >= 1:
            return f"{number(round(view.rate * seconds))} {unit}"
    return "less than 1 an hour"


def progress_json(view: Progress) -> dict[str, Any]:
    """The same for programs."""
    return {"percent": view.percent, "rate": view.rate, "left_s": view.left_s, "elapsed_s": round(view.elapsed_s, 3)}


PROGRESS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["percent", "rate", "left_s", "elapsed_s"],
    "additionalProperties": False,
    "properties": {
        "percent": {"type": ["integer", "null"], "minimum": 0, "maximum": 100, "description": "null: not known yet."},
        "rate": {"type": ["number", "null"], "description": "Items a second, smoothed; null: not known yet."},
        "left_s": {"type": ["number", "null"], "description": "Seconds until it is done at this pace, rounded up."},
        "elapsed_s": {"type": "number", "minimum": 0},
    },
}


def init_progress(app: Flask, clock_of: Callable[[], datetime]) -> None:
    """What templates ask."""
    app.jinja_env.globals.update(
        progress_of_delivery=lambda row: of_delivery(row, clock_of()),
        progress_of=lambda row: of_operation(row, clock_of()),
        progress_left=left_in_words,
        progress_pace=pace_in_words,
    )
