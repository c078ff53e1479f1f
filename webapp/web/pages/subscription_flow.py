"""Buttons of a subscription's page: pause and resume, the circuit breaker by hand, what the handler is to forget."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp.domain.pauses import parse_pause, parse_resume
from webapp.services import breakers, states
from webapp.services import subscriptions as service
from webapp.web.answers import done
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime

bp = Blueprint("subscription_flow", __name__, url_prefix="/subscriptions")


@bp.post("/<subscription_id>/pause")
@require("operate")
def pause(subscription_id: str) -> Response:
    """Hold what is due and what comes, for good or for a while."""
    rt = get_runtime()
    wish = parse_pause({"reason": _reason(), "for": request.form.get("for", "").strip() or None}, rt.clock())
    held = service.pause(rt, current_actor(), subscription_id, wish.reason, wish.resume_at)
    return done(f"Paused; {in_words(held)} held", back=_page(subscription_id))


@bp.post("/<subscription_id>/resume")
@require("operate")
def resume(subscription_id: str) -> Response:
    """Let what is held run, at once or at a pace."""
    pace = parse_resume({"pace": _number(request.form.get("pace", "").strip())})
    released = service.resume(get_runtime(), current_actor(), subscription_id, pace)
    how = "released" if pace is None or not released else f"let go, {pace:g} a second"
    return done(f"Resumed; {in_words(released)} {how}", back=_page(subscription_id))


@bp.post("/<subscription_id>/breaker/open")
@require("operate")
def open_breaker(subscription_id: str) -> Response:
    """Hold everything until a probe succeeds."""
    breakers.open_now(get_runtime(), current_actor(), subscription_id)
    return done("The breaker is open", back=_page(subscription_id))


@bp.post("/<subscription_id>/breaker/close")
@require("operate")
def close_breaker(subscription_id: str) -> Response:
    """Let everything through."""
    breakers.close_now(get_runtime(), current_actor(), subscription_id)
    return done("The breaker is closed", back=_page(subscription_id))


@bp.post("/<subscription_id>/forget")
@require("operate")
def forget(subscription_id: str) -> Response:
    """Drop a key of the handler's state."""
    key = request.form.get("key", "")[:200]
    states.forget(get_runtime(), current_actor(), subscription_id, key)
    return done(f"Forgotten: {key}", back=_page(subscription_id))


@bp.get("/<subscription_id>/pause")
@bp.get("/<subscription_id>/resume")
@bp.get("/<subscription_id>/breaker/open")
@bp.get("/<subscription_id>/breaker/close")
@bp.get("/<subscription_id>/forget")
@require("read")
def look_first(subscription_id: str) -> AnyResponse:
    """The address of a button that was reloaded leads back to its subscription."""
    return redirect(_page(subscription_id), 303)


def in_words(count: int) -> str:
    """``1 delivery``, ``12 deliveries``."""
    return "1 delivery" if count == 1 else f"{count:,} deliveries"


def _reason() -> str:
    return " ".join(request.form.get("reason", "").split())[:500]


def _number(text: str) -> Any:
    """The number that was typed; text that is none is left to be refused."""
    try:
        return float(text) if text else None
    except ValueError:
        return text


def _page(subscription_id: str) -> str:
    return url_for("subscriptions.show", subscription_id=subscription_id)
