"""Pages of deliveries: what needs action, the filtered list, one delivery, and its buttons.

Reads come from ``store.feed_deliveries``; every change goes through ``services.operate``, which audits it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response as AnyResponse

from webapp.domain.errors import NotFound
from webapp.domain.lifecycle import FINAL, OPEN, State
from webapp.domain.pytest_file import pytest_of
from webapp.services import needs, operate
from webapp.services.needs import AT_ONCE
from webapp.store import feed_deliveries as feed
from webapp.store import feed_needs
from webapp.store.feed_case import find_case
from webapp.store.feed_events import nav_counts
from webapp.store.feed_log import AT_ONCE as AT_ONCE_LINES
from webapp.store.feed_log import last_lines, lines_after
from webapp.store.feed_subscriptions import list_names
from webapp.store.feed_waiting import is_blocking, waits_of
from webapp.store.paging import Page
from webapp.web import render
from webapp.web.answers import SINCE, done, list_or_part, newer_part, paging, since_of, url_with
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime

bp = Blueprint("deliveries", __name__, url_prefix="/deliveries")

EVERY = "all"  # the list of every state; without a state the page shows what needs action
STATES = ("running", "waiting", "held", "pending", "dead", "succeeded", "skipped", "cancelled")
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
            state if state in (EVERY, *STATES) else "",
            request.args.get("subscription", "")[:64],
            since if since in SINCE else "",
        )

    def to_store(self) -> feed.DeliveryFilter:
        """The same for the read model."""
        state = "" if self.state == EVERY else self.state
        return feed.DeliveryFilter(state, self.subscription, since_of(self.since, get_runtime().clock()))

    def to_needs(self) -> feed_needs.NeedsFilter:
        """The same for what needs action."""
        return feed_needs.NeedsFilter(self.subscription, since_of(self.since, get_runtime().clock()))


@bp.get("")
@require("read")
def index() -> Response:
    """What needs action in groups, one of the groups, or a list of deliveries, newest first; the part is the table."""
    rt, wanted, before = get_runtime(), Wanted.from_request(), request.args.get("before", "")[:64]
    key = None if wanted.state else feed_needs.GroupKey.parse(request.args.get("group", ""))
    with rt.db.read() as conn:
        page, group = _find(conn, wanted, key, before)
        told = render.tell_nav_counts(nav_counts(conn, user_id=current_actor().id, now=rt.clock()))
        counts = feed.count_states(conn, wanted.subscription, needing=told.deliveries)
        names = list_names(conn)
    return list_or_part(
        "deliveries/index.html",
        "deliveries/_view.html",
        found=page,
        group=group,
        is_grouped=not wanted.state and key is None,
        at_once=AT_ONCE,
        window=feed_needs.WINDOW,
        counts=counts,
        subscriptions=names,
        wanted=wanted,
        tabs=tuple(
            (state, url_with(request.path, **asdict(replace(wanted, state=state)))) for state in ("", EVERY, *STATES)
        ),
        since_choices=SINCE,
        can=can,
        **paging(asdict(wanted) | {"group": "" if key is None else str(key)}, before, page.next),
    )


def _find(
    conn: Connection, wanted: Wanted, key: feed_needs.GroupKey | None, before: str
) -> tuple[Page[Any], feed_needs.NeedGroup | None]:
    if wanted.state:
        return feed.list_deliveries(conn, wanted.to_store(), before=before), None
    if key is None:
        return feed_needs.list_groups(conn, wanted.to_needs(), before=before), None
    return feed_needs.list_group(conn, key, before=before), feed_needs.find_group(conn, key)


@bp.get("/newer")
@require("read")
def newer() -> Response:
    """How many came since the list was drawn."""
    wanted = Wanted.from_request()
    with get_runtime().db.read() as conn:
        return newer_part(
            "deliveries", asdict(wanted), lambda newest: feed.count_newer(conn, wanted.to_store(), newest)
        )


@bp.get("/<delivery_id>/row")
@require("read")
def row(delivery_id: str) -> Response:
    """One row of the list."""
    return render.part("deliveries/_row.html", delivery=_get(delivery_id), can=can)


@bp.get("/<delivery_id>")
@require("read")
def show(delivery_id: str) -> Response:
    """One delivery: what happened to it and what can be done."""
    rt = get_runtime()
    with rt.db.read() as conn:
        view = feed.find_view(conn, delivery_id)
        waits = waits_of(conn, [delivery_id], rt.clock()).get(delivery_id)
        blocks = is_blocking(conn, delivery_id)
        lines = () if render.wants_part() else last_lines(conn, [delivery_id])
    if view is None:
        raise NotFound("There is no such delivery.")
    context = {"view": view, "waits": waits, "blocks": blocks, "lines": lines, "can": can}
    return render.page_or_part("deliveries/show.html", "deliveries/_body.html", **context)


@bp.get("/<delivery_id>/log")
@require("read", payloads=True)
def log(delivery_id: str) -> Response:
    """Lines of its handler behind ``after``."""
    _get(delivery_id)
    with get_runtime().db.read() as conn:
        return log_part(conn, {delivery_id: ""})


def log_part(conn: Connection, owners: Mapping[str, str]) -> Response:
    """What came to the log of these deliveries; names are shown when there are several."""
    after = max(0, request.args.get("after", 0, type=int))
    lines = lines_after(conn, list(owners), min(after, 2**62))
    return render.part("log/_lines.html", lines=lines, owners=owners, has_more=len(lines) == AT_ONCE_LINES)


@bp.get("/<delivery_id>/test.py")
@require("operate", payloads=True)
def as_test(delivery_id: str) -> Response:
    """A pytest file that runs its handler against its event."""
    with get_runtime().db.read() as conn:
        case = find_case(conn, delivery_id)
    if case is None:
        raise NotFound("There is no such delivery.")
    name = f"test_{case.delivery_id}.py"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(pytest_of(case), headers=headers, content_type="text/x-python; charset=utf-8")


@bp.post("/<delivery_id>/retry")
@require("operate")
def retry(delivery_id: str) -> Response:
    """Try it now."""
    count = operate.retry(get_runtime(), current_actor(), delivery_id)
    said = "Retry is under way" if count == 1 else f"Retry of its batch is under way: {count} deliveries"
    return done(said, back=url_for("deliveries.show", delivery_id=delivery_id))


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
    """Stop it for good; of one that runs the end is asked for."""
    has_ended = operate.cancel(get_runtime(), current_actor(), delivery_id)
    said = "Cancelled" if has_ended else "Asked to stop; its handler is told within seconds"
    return done(
        said, back=url_for("deliveries.show", delivery_id=delivery_id), tone="succeeded" if has_ended else "info"
    )


@bp.post("/<delivery_id>/skip")
@require("operate")
def skip(delivery_id: str) -> Response:
    """Do without a dead one, so that those that it blocks go on."""
    operate.skip(get_runtime(), current_actor(), delivery_id, request.form.get("reason", ""))
    return done("Skipped; its followers go on", back=url_for("deliveries.show", delivery_id=delivery_id))


@bp.post("/<delivery_id>/dismiss")
@require("operate")
def dismiss(delivery_id: str) -> Response:
    """It needs no action any more."""
    needs.dismiss(get_runtime(), current_actor(), delivery_id, request.form.get("reason", ""))
    return done("Dismissed", back=url_for("deliveries.show", delivery_id=delivery_id))


@bp.get("/<delivery_id>/retry")
@bp.get("/<delivery_id>/rerun")
@bp.get("/<delivery_id>/cancel")
@bp.get("/<delivery_id>/dismiss")
@bp.get("/<delivery_id>/skip")
@require("read")
def look_first(delivery_id: str) -> AnyResponse:
    """The address of a button that was reloaded leads back to its delivery."""
    return redirect(url_for("deliveries.show", delivery_id=delivery_id), 303)


def can(verb: str, delivery: feed.DeliveryRow) -> bool:
    """Whether the state (not the person) allows ``retry``, ``rerun``, ``cancel`` or ``dismiss``."""
    if verb == "cancel":
        return delivery.state in OPEN and (delivery.state != State.RUNNING or delivery.cancel_requested_at is None)
    if verb == "dismiss":
        return delivery.state == State.DEAD and delivery.dismissed_at is None
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
