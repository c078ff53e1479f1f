"""Pages of events: the list, one event with all that became of it, and re-running it. ``submit.py`` has the form."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Connection

from webapp.domain import payload_tree
from webapp.domain.access import HIDDEN
from webapp.domain.condition_text import parse_condition_text
from webapp.domain.conditions import Condition
from webapp.domain.errors import NotFound, Refused
from webapp.domain.events import STATUSES
from webapp.domain.jsontext import to_text
from webapp.domain.lifecycle import FINAL
from webapp.domain.payload_diff import Difference, difference
from webapp.services import operate
from webapp.store import feed_events as feed
from webapp.store.event_types import deprecation_of
from webapp.store.feed_deliveries import DeliveryRow, deliveries_of_event
from webapp.store.feed_events import EventDetail, EventFilter, EventPage
from webapp.store.feed_log import last_lines
from webapp.store.feed_story import versions_run
from webapp.store.feed_waiting import is_blocking, waits_of
from webapp.web import render
from webapp.web.answers import SINCE, done, newer_part, since_of, url_with
from webapp.web.auth import current_actor, may_view_payloads, require
from webapp.web.context import get_runtime
from webapp.web.pages.deliveries import can, log_part
from webapp.web.story import background_of, story_of
from webapp.web.why import why_of_event

bp = Blueprint("events", __name__, url_prefix="/events")

QUERY_CHARS = 2_000
LINES_SHOWN = 200  # when the page is opened
ANSWERED = 20  # deliveries that the form shows


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filter as it stands in the URL."""

    type: str = ""
    status: str = ""
    source: str = ""
    since: str = ""
    start: str = ""
    end: str = ""
    q: str = ""  # a condition in its text form

    @classmethod
    def from_request(cls) -> Wanted:
        """Values that mean nothing here are dropped, so that a mistyped address shows a list."""
        given = {name: request.args.get(name, "").strip()[:200] for name in cls.__dataclass_fields__}
        given["q"] = request.args.get("q", "").strip()[:QUERY_CHARS]
        given["status"] = given["status"] if given["status"] in STATUSES else ""
        given["since"] = given["since"] if given["since"] in SINCE else ""
        given |= {name: given[name] if _instant(given[name]) else "" for name in ("start", "end")}
        return cls(**given)

    def to_store(self) -> EventFilter:
        """The same for the read model; an exact start wins over a stretch."""
        now = get_runtime().clock()
        since = _instant(self.start) or since_of(self.since, now)
        condition, _ = self.condition()
        return EventFilter(self.type, self.status, self.source, since, _instant(self.end), condition, now)

    def condition(self) -> tuple[Condition | None, str]:
        """What ``q`` asks for, or what is wrong with it."""
        if self.q and not may_view_payloads():  # what is found would tell what is inside
            return None, "You may not view payloads, and so not search in them. An administrator can allow it."
        try:
            return (parse_condition_text(self.q) if self.q else None), ""
        except Refused as refused:
            return None, refused.faults[0].message

    def __bool__(self) -> bool:
        return any(asdict(self).values())


@bp.get("")
@require("read")
def index() -> Response:
    """The list, newest first; the part is the table."""
    wanted = Wanted.from_request()
    before, after, through = (request.args.get(name, "")[:64] for name in ("before", "after", "through"))
    _, fault = wanted.condition()
    with get_runtime().db.read() as conn:
        page = (
            EventPage(())  # a list that is not what was asked for would mislead
            if fault
            else feed.list_events(conn, wanted.to_store(), before=before, after=after, through=through)
        )
        types = () if render.wants_part() else feed.known_types(conn)
    return render.page_or_part(
        "events/index.html",
        "events/_table.html",
        page=page,
        wanted=wanted,
        query_fault=fault,
        types=types,
        statuses=STATUSES,
        since_choices=SINCE,
        url_with=url_with,
        filters=asdict(wanted),
        here=url_with(request.path, **asdict(wanted), before=before, after=after if page.newer else ""),
        older=url_with(request.path, **asdict(wanted), before=page.older) if page.older else None,
        newer=url_with(request.path, **asdict(wanted), after=page.newest) if page.newer and page.rows else None,
    )


@bp.get("/newer")
@require("read")
def newer() -> Response:
    """How many came since the list was drawn."""
    wanted = Wanted.from_request()
    with get_runtime().db.read() as conn:
        return newer_part("events", asdict(wanted), lambda newest: feed.count_newer(conn, wanted.to_store(), newest))


@bp.get("/<uid>/row")
@require("read")
def row(uid: str) -> Response:
    """One row of the list."""
    with get_runtime().db.read() as conn:
        found = feed.find_row(conn, uid)
    if found is None:
        raise NotFound("There is no such event.")
    return render.part("events/_row.html", event=found)


@bp.get("/<uid>")
@require("read")
def show(uid: str) -> Response:
    """One event and all that became of it; ``?subscription=`` asks why that one did not run."""
    event, asked = find_event(uid), request.args.get("subscription", "")[:64]
    with get_runtime().db.read() as conn:
        sender = feed.sender_name(conn, event.received_by)
        owners = owners_of(conn, uid)
        lines = last_lines(conn, list(owners), LINES_SHOWN)
        deprecation = deprecation_of(conn, event.type)
    return render.page_or_part(
        "events/show.html",
        "events/_live.html",
        **progress_context(event, is_whole=True),
        why=why_of_event(event.uid, asked),
        sender=sender,
        owners=owners,
        lines=lines,
        deprecation=deprecation,
        against=_against(event),
        tree=payload_tree.tree(payload_tree.read(event.payload)),
        raw_open=False,
    )


@bp.get("/<uid>/payload")
@require("read")
def payload(uid: str) -> Response:
    """What is in the payload beneath ``path``, from the child ``from`` on; or what ``find`` finds in it."""
    event, wanted = find_event(uid), request.args.get("find", "").strip()[:200]
    whole = payload_tree.read(event.payload)
    if "find" in request.args:
        found, has_more = payload_tree.search(whole, wanted) if wanted else ([], False)
        return render.part("events/_found.html", event=event, found=found, wanted=wanted, has_more=has_more)
    start = request.args.get("from", 0, type=int)
    node = payload_tree.tree(whole, request.args.get("path", "data"), max(0, start))
    if node is None:
        raise NotFound("There is nothing at this path.")
    return render.part("events/_nodes.html", event=event, node=node)


@bp.get("/<uid>/log")
@require("read", payloads=True)
def log(uid: str) -> Response:
    """Lines of its handlers behind ``after``."""
    find_event(uid)
    with get_runtime().db.read() as conn:
        return log_part(conn, owners_of(conn, uid))


@bp.get("/<uid>/live")
@require("read")
def live(uid: str) -> Response:
    """All of the page that moves, each panel swapped into its place."""
    return render.part("events/_live.html", **progress_context(find_event(uid)), oob=True)


@bp.get("/<uid>/answer")
@require("read")
def answer(uid: str) -> Response:
    """What has become of an event, beneath the form that it was sent with."""
    return render.part("events/_answer.html", **answer_context(find_event(uid)), duplicate=False)


@bp.post("/<uid>/rerun")
@require("operate")
def rerun(uid: str) -> Response:
    """Run every ended delivery of this event again, each as a new delivery."""
    rt, actor = get_runtime(), current_actor()
    with rt.db.read() as conn:
        deliveries = feed.progress_of(conn, find_event(uid).uid).deliveries
    chosen = rerunnable(deliveries)
    for one in chosen:
        operate.rerun(rt, actor, one.id)
    count = f"{len(chosen)} {'delivery' if len(chosen) == 1 else 'deliveries'}"
    return done(f"Re-running {count}", back=url_for("events.show", uid=uid))


def rerunnable(deliveries: tuple[DeliveryRow, ...]) -> list[DeliveryRow]:
    """The newest delivery of each subscription, where it has ended and the subscription is still there."""
    newest = {one.subscription_id: one for one in sorted(deliveries, key=lambda one: one.rerun)}
    return [one for one in newest.values() if one.state in FINAL and not one.subscription_deleted]


def find_event(uid: str) -> EventDetail:
    """The event; for those who may not view payloads, with the reason in the place of its own."""
    with get_runtime().db.read() as conn:
        event = feed.find_event(conn, uid)
    if event is None:
        raise NotFound("There is no such event.")
    return event if may_view_payloads() else replace(event, payload=to_text(HIDDEN))


@dataclass(frozen=True, slots=True)
class Compared:
    """Another event, and what is different in this one."""

    event: EventDetail
    difference: Difference


def owners_of(conn: Connection, uid: str) -> dict[str, str]:
    """The deliveries whose log lines the page of an event shows, and their names."""
    return {one.id: one.subscription_name for one in deliveries_of_event(conn, uid, limit=feed.DELIVERIES_SHOWN)}


def _against(event: EventDetail) -> Compared | None:
    """What ``?against=`` names."""
    uid = request.args.get("against", "")[:64]
    if not uid:
        return None
    other = find_event(uid)
    return Compared(other, difference(payload_tree.read(other.payload), payload_tree.read(event.payload)))


def answer_context(event: EventDetail) -> dict[str, Any]:
    """What the form says of the event that it sent."""
    with get_runtime().db.read() as conn:
        return {"event": event, "deliveries": deliveries_of_event(conn, event.uid, limit=ANSWERED)}


def progress_context(event: EventDetail, *, is_whole: bool = False) -> dict[str, Any]:
    """All that moves on the page; ``is_whole``: beside it what is read once, when the page is opened."""
    rt = get_runtime()
    with rt.db.read() as conn:
        progress, now = feed.progress_of(conn, event.uid), rt.clock()
        waits = waits_of(conn, [one.id for one in progress.deliveries], now)
        versions = versions_run(conn, event.uid)
        story = story_of(conn, event, progress, now) | (background_of(conn, event) if is_whole else {})
        blocking = {one.id for one in progress.deliveries if one.state == "dead" and is_blocking(conn, one.id)}
    return {
        "event": event,
        "progress": progress,
        "deliveries": progress.deliveries,
        **story,
        "versions": versions,
        "failures": [one for one in reversed(progress.attempts) if one.attempt.error_type],
        "took": {one.delivery_id: one.attempt.run_s for one in progress.attempts},  # of the last try
        "names": {one.id: one.subscription_name for one in progress.deliveries},
        "rerunnable": len(rerunnable(progress.deliveries)),
        "waits": waits,
        "blocking": blocking,
        "can": can,
    }


def _instant(text: str) -> datetime | None:
    """``2026-11-23T14:00``, taken as UTC when it names no zone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    if not 1970 <= at.year <= 9998:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
