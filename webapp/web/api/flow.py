"""``/api/v1/subscriptions/<id>/pause``, ``/resume`` and ``/breaker``: what keeps deliveries from running, and what lets them."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from webapp.domain.errors import Fault, Refused
from webapp.domain.pauses import parse_pause, parse_resume
from webapp.services import breakers
from webapp.services import subscriptions as service
from webapp.web.api.blueprint import bp, operation
from webapp.web.api.subscriptions import answer_one
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.requests import read_json, read_query

PROBLEMS = (400, 404, 409, 413, 415, 422, 503)


@bp.post("/subscriptions/<subscription_id>/pause")
@require("operate")
@operation(
    "Pause a subscription", "subscriptions", {200: "Subscription"}, body="Pause", body_required=False, problems=PROBLEMS
)
def pause_subscription(subscription_id: str) -> Response:
    """Its deliveries are held until it is resumed: by somebody, or by itself when an end is given."""
    read_query()
    rt = get_runtime()
    pause = parse_pause(_body(), rt.clock())
    service.pause(rt, current_actor(), subscription_id, pause.reason, pause.resume_at)
    return answer_one(subscription_id)


@bp.post("/subscriptions/<subscription_id>/resume")
@require("operate")
@operation(
    "Resume a subscription",
    "subscriptions",
    {200: "Subscription"},
    body="Resume",
    body_required=False,
    problems=PROBLEMS,
)
def resume_subscription(subscription_id: str) -> Response:
    """What was held runs now, or bit by bit when a pace is given; one that is being released gets the new pace."""
    read_query()
    service.resume(get_runtime(), current_actor(), subscription_id, parse_resume(_body()))
    return answer_one(subscription_id)


@bp.post("/subscriptions/<subscription_id>/breaker")
@require("operate")
@operation(
    "Open or close a circuit breaker", "subscriptions", {200: "Subscription"}, body="BreakerOrder", problems=PROBLEMS
)
def order_breaker(subscription_id: str) -> Response:
    """By hand: open holds everything until a probe succeeds, closed lets what is held run."""
    read_query()
    document = read_json()
    orders = {"open": breakers.open_now, "closed": breakers.close_now}
    wanted = document.get("state") if isinstance(document, dict) and set(document) == {"state"} else None
    if not isinstance(wanted, str) or wanted not in orders:
        fault = Fault("/state", "unknown-choice", 'Send {"state": "open"} or {"state": "closed"}.')
        raise Refused("invalid-subscription", fault.message, faults=[fault])
    orders[wanted](get_runtime(), current_actor(), subscription_id)
    return answer_one(subscription_id)


def _body() -> Any:
    has_body = request.content_length or request.environ.get("HTTP_TRANSFER_ENCODING")
    return read_json() if has_body else {}
