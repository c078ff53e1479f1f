"""Pages of subscriptions: the list, one rule and how it fares, and the buttons that pause, resume and delete.

The form and its live checks are in ``subscription_edit``. Every change goes through ``services.subscriptions``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp.domain.errors import NotFound
from webapp.domain.policies import Policies
from webapp.domain.retry import RetryPolicy
from webapp.domain.sensitive import masked
from webapp.services import subscriptions as service
from webapp.services.catalog import list_handlers
from webapp.store import feed_deliveries, feed_flow, states
from webapp.store import feed_subscriptions as feed
from webapp.web import render
from webapp.web.answers import done, list_or_part, url_with
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.pages.deliveries import can
from webapp.web.pages.subscription_flow import in_words
from webapp.web.policy_words import policy_words
from webapp.web.tries import schedule
from webapp.web.words import condition_in_words, retry_in_words

bp = Blueprint("subscriptions", __name__, url_prefix="/subscriptions")

RECENT = 10
VALUE_CHARS = 500


@bp.get("")
@require("read")
def index() -> Response:
    """The list, by name; the part is the table."""
    rt, after = get_runtime(), request.args.get("after", "")[:400]
    state = request.args.get("state", "")
    state = state if state in ("active", "paused", "breaker") else ""
    wanted = feed.SubscriptionFilter(request.args.get("q", "").strip()[:200], state)
    with rt.db.read() as conn:
        page = feed.list_subscriptions(conn, wanted, now=rt.clock(), after=after)
        flows = feed_flow.read_flows(conn, [row.id for row in page.rows])
    return list_or_part(
        "subscriptions/index.html",
        "subscriptions/_table.html",
        found=page,
        flows=flows,
        wanted=wanted,
        after=after,
        url_with=url_with,
        words=condition_in_words,
        here=url_with(request.path, q=wanted.words, state=state, after=after),
        following=url_with(request.path, q=wanted.words, state=state, after=page.next) if page.next else None,
        first=url_with(request.path, q=wanted.words, state=state) if after else None,
    )


@bp.get("/<subscription_id>")
@require("read")
def show(subscription_id: str) -> Response:
    """One rule: in words, as JSON, and what became of its newest deliveries."""
    rt, after = get_runtime(), request.args.get("state_after", "")[:200]
    now = rt.clock()
    with rt.db.read() as conn:
        subscription = find(conn, subscription_id)
        wanted = feed_deliveries.DeliveryFilter(subscription_id=subscription_id)
        recent = feed_deliveries.list_deliveries(conn, wanted, limit=RECENT)
        counts = feed_deliveries.count_states(conn, subscription_id)
        flow = feed_flow.read_flows(conn, [subscription_id]).get(subscription_id)
        breaker = feed_flow.read_breaker(conn, subscription_id, now)
        remembered, next_key = states.list_states(conn, subscription_id, after)
    policy = RetryPolicy.from_json(subscription.retry)
    handler = next((one for one in list_handlers(rt) if one.name == subscription.handler), None)
    return render.page_or_part(
        "subscriptions/show.html",
        "subscriptions/_body.html",
        subscription=subscription,
        handler=handler,
        recent=recent,
        counts=counts,
        tries=schedule(policy, now),
        retry_words=retry_in_words(subscription.retry),
        policy_words=policy_words(Policies.from_json(subscription.policies)),
        condition_words="" if subscription.condition is None else condition_in_words(subscription.condition),
        condition_json="" if subscription.condition is None else json.dumps(subscription.condition, ensure_ascii=False),
        options_json=json.dumps(
            masked(subscription.options, handler.options_schema if handler else None), ensure_ascii=False
        )
        if subscription.options
        else "",
        transform_json="" if subscription.transform is None else json.dumps(subscription.transform, ensure_ascii=False),
        can=can,
        flow=flow,
        breaker=breaker,
        states=[StateRow(row.key, _value_text(row.value), row.updated_at) for row in remembered],
        states_after=after,
        more_states=url_with(request.path, state_after=next_key) if next_key else None,
    )


@bp.post("/<subscription_id>/delete")
@require("design")
def delete(subscription_id: str) -> Response:
    """Stop routing to it for good; goes to the list, because the page has nothing left to do."""
    cancelled = service.delete(get_runtime(), current_actor(), subscription_id)
    return done(f"Deleted; {in_words(cancelled)} cancelled", back=_list(), go=_list())


@bp.get("/<subscription_id>/delete")
@require("read")
def look_first(subscription_id: str) -> AnyResponse:
    """The address of a button that was reloaded leads back to its subscription."""
    return redirect(_page(subscription_id), 303)


@dataclass(frozen=True, slots=True)
class StateRow:
    """One key that a handler remembers; the value as JSON, cut."""

    key: str
    text: str
    updated_at: datetime


def _value_text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_CHARS else f"{text[:VALUE_CHARS]}…"


def find(conn: Any, subscription_id: str) -> feed.SubscriptionRow:
    """The subscription, deleted or not, or ``NotFound``."""
    found = feed.find_subscription(conn, subscription_id, get_runtime().clock())
    if found is None:
        raise NotFound("There is no such subscription.")
    return found


def _page(subscription_id: str) -> str:
    return url_for("subscriptions.show", subscription_id=subscription_id)


def _list() -> str:
    return url_for("subscriptions.index")
