"""The errors page: failures grouped by what failed where, and below them every failed try, newest first."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from flask import Blueprint, Response, request

from webapp.store import feed_errors as feed
from webapp.store.feed_subscriptions import list_names
from webapp.web.answers import SINCE, list_or_part, newer_part, paging, since_of
from webapp.web.auth import require
from webapp.web.context import get_runtime

bp = Blueprint("errors", __name__, url_prefix="/errors")

GROUPED_OVER = "24h"  # when the filter names no time


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filter as it stands in the URL."""

    error_type: str = ""
    subscription: str = ""
    since: str = ""

    @classmethod
    def from_request(cls) -> Wanted:
        """Unknown stretches of time are dropped."""
        since = request.args.get("since", "")
        return cls(
            request.args.get("error_type", "").strip()[:200],
            request.args.get("subscription", "")[:64],
            since if since in SINCE else "",
        )

    def to_store(self) -> feed.ErrorFilter:
        """The same for the read model."""
        return feed.ErrorFilter(self.error_type, self.subscription, since_of(self.since, get_runtime().clock()))


@bp.get("")
@require("read")
def index() -> Response:
    """Groups and list; the part is both."""
    rt, wanted, before = get_runtime(), Wanted.from_request(), request.args.get("before", "")[:64]
    grouped_over = wanted.since or GROUPED_OVER
    with rt.db.read() as conn:
        page = feed.list_errors(conn, wanted.to_store(), before=before)
        groups = () if before else feed.group_errors(conn, since_of(grouped_over, rt.clock()))
        names = list_names(conn)
    return list_or_part(
        "errors/index.html",
        "errors/_view.html",
        found=page,
        groups=groups,
        grouped_over=SINCE[grouped_over][0],
        group_scan=feed.GROUP_SCAN,
        subscriptions=names,
        wanted=wanted,
        since_choices=SINCE,
        **paging(asdict(wanted), before, page.next),
    )


@bp.get("/newer")
@require("read")
def newer() -> Response:
    """How many failed since the list was drawn."""
    wanted = Wanted.from_request()
    with get_runtime().db.read() as conn:
        return newer_part("errors", asdict(wanted), lambda newest: feed.count_newer(conn, wanted.to_store(), newest))
