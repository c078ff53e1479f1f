"""Pages of deliveries: the filtered list, one delivery, and the three buttons: retry, re-run, cancel.

Reads come from ``store.feed_deliveries``; every change goes through ``services.operate``, which audits it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp.domain.errors import NotFound
from webapp.domain.lifecycle import FINAL, OPEN, State
from webapp.services import operate
from webapp.store import feed_deliveries as feed
from webapp.store.feed_subscriptions import list_names
from webapp.web import render
from webapp.web.answers import SINCE, done, list_or_part, since_of, url_with
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime

bp = Blueprint("deliveries", __name__, url_prefix="/deliveries")

STATES = (feed.ACTION, "running", "waiting", "held", "pending", "dead", "succeeded", "skipped", "cancelled")
RETRIABLE = frozenset({State.DEAD, State.WAITING})


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filter as it stands in the URL."""

    state: str = ""
    subscription: str = ""
    since: str = ""

    @classmethod
    def from_request(cls) -> Wanted:
        """Values that mean nothing here are dropped, so that a mistyped address shows a list."""
        state, since = request.args.get("state", ""), request.args.get("since", "")
        return cls(
            state if state in STATES else "",
            request.args.get("subscription", "")[:64],
            since if since in SINCE else "",
        )

    def to_store(self) -> feed.DeliveryFilter:
        """The same for the read model."""
        return feed.DeliveryFilter(self.state, self.subscription, since_of(self.since, get_runtime().clock()))


@bp.get("")
@require("read")
def index() -> Response:
    """The list, newest first; the part is the table."""
    rt, wanted, before = get_runtime(), Wanted.from_request(), request.args.get("before", "")[:64]
    with rt.db.read() as conn:
        page = feed.list_deliveries(conn, wanted.to_store(), before=before)
        counts = feed.count_states(conn, wanted.subscription)
        names = list_names(conn)
    return list_or_part(
        "deliveries/index.html",
        "deliveries/_view.html",
        found=page,
        counts=counts,
        subscriptions=names,
        wanted=wanted,
        before=before,
        tabs=tuple((state, url_with(request.path, **asdict(replace(wanted, state=state)))) for state in ("", *STATES)),
        since_choices=SINCE,
        url_with=url_with,
        filters=asdict(wanted),
        can=can,
        here=url_with(request.path, **asdict(wanted), before=before),
        older=url_with(request.path, **asdict(wanted), before=page.next) if page.next else None,
        newest_url=url_with(request.path, **asdict(wanted)) if before else None,
    )


@bp.get("/newer")
@require("read")
def newer() -> Response:
    """How many came since the list was drawn."""
    rt, wanted = get_runtime(), Wanted.from_request()
    newest = request.args.get("newest", "")[:64]
    with rt.db.read() as conn:
        count = feed.count_newer(conn, wanted.to_store(), newest)
    return render.part("deliveries/_newer.html", count=count, filters=asdict(wanted), newest=newest, url_with=url_with)


@bp.get("/<delivery_id>/row")
@require("read")
def row(delivery_id: str) -> Response:
    """One row of the list."""
    return render.part("deliveries/_row.html", delivery=_get(delivery_id), can=can)


@bp.get("/<delivery_id>")
@require("read")
def show(delivery_id: str) -> Response:
    """One delivery: what happened to it and what can be done."""
    with get_runtime().db.read() as conn:
        view = feed.find_view(conn, delivery_id)
    if view is None:
        raise NotFound("There is no such delivery.")
    return render.page_or_part("deliveries/show.html", "deliveries/_body.html", view=view, can=can)


@bp.post("/<delivery_id>/retry")
@require("operate")
def retry(delivery_id: str) -> Response:
    """Try it now."""
    operate.retry(get_runtime(), current_actor(), delivery_id)
    return done("Retry is under way", back=url_for("deliveries.show", delivery_id=delivery_id))


@bp.post("/<delivery_id>/rerun")
@require("operate")
def rerun(delivery_id: str) -> Response:
    """Run the event again, as a new delivery; goes there."""
    fresh = operate.rerun(get_runtime(), current_actor(), delivery_id)
    there = url_for("deliveries.show", delivery_id=fresh)
    return done("Re-run as a new delivery", back=there, go=there)


@bp.post("/<delivery_id>/cancel")
@require("operate")
def cancel(delivery_id: str) -> Response:
    """Stop it for good."""
    operate.cancel(get_runtime(), current_actor(), delivery_id)
    return done("Cancelled", back=url_for("deliveries.show", delivery_id=delivery_id))


@bp.get("/<delivery_id>/retry")
@bp.get("/<delivery_id>/rerun")
@bp.get("/<delivery_id>/cancel")
@require("read")
def look_first(delivery_id: str) -> AnyResponse:
    """The address of a button that was reloaded leads back to its delivery."""
    return redirect(url_for("deliveries.show", delivery_id=delivery_id), 303)


def can(verb: str, delivery: feed.DeliveryRow) -> bool:
    """Whether the state (not the person) allows ``retry``, ``rerun`` or ``cancel``."""
    if verb == "cancel":
        return delivery.state in OPEN
    if delivery.subscription_deleted:
        return False
    if verb == "retry" and delivery.reason == "loop":
        return delivery.state == State.HELD
    return delivery.state in (RETRIABLE if verb == "retry" else FINAL)


def _get(delivery_id: str) -> feed.DeliveryRow:
    with get_runtime().db.read() as conn:
        found = feed.find_delivery(conn, delivery_id)
    if found is None:
        raise NotFound("There is no such delivery.")
    return found
