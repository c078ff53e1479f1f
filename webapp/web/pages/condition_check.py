"""Trying the rule in the form on one event, clause by clause: one that came, or one that was pasted. Nothing is stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, request

from webapp.domain.conditions import Clause, Trace, event_view, parse_condition
from webapp.domain.errors import Fault, NotFound, Refused
from webapp.domain.events import Event, EventDraft, parse_event
from webapp.domain.explain import as_it_came, blame
from webapp.domain.jsontext import parse_json
from webapp.domain.routing import parse_pattern, pattern_matches
from webapp.store import feed_subscriptions as feed
from webapp.store.events import get_event_row, to_event
from webapp.store.samples import get_sample
from webapp.web import render
from webapp.web.auth import require
from webapp.web.context import get_runtime
from webapp.web.pages.condition_edit import types_of
from webapp.web.pages.subscription_form import SubscriptionForm

bp = Blueprint("condition_check", __name__, url_prefix="/subscriptions")

ID_CHARS = 64
PASTED_CHARS = 256 * 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which event to try: what was pasted, else the one with this id, else the chosen one."""

    chosen: str = ""
    uid: str = ""
    pasted: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """What a condition says: its faults, or the verdict on the event."""

    faults: tuple[Fault, ...] = ()  # of the condition
    trouble: str = ""  # with the event
    trace: Trace | None = None
    blamed: tuple[Clause, ...] = ()  # without whom the verdict would have been yes
    has_condition: bool = False
    misfit: str = ""  # the pattern does not fit, in words
    tried: str = ""  # the event, in words, when it is not one of those to choose from
    events: tuple[Any, ...] = ()  # to choose from
    chosen: str = ""


@bp.post("/check")
@require("read", payloads=True)
def check() -> Response:
    """What the rule in the form says of an event."""
    given = {name: request.form.get(name, "").strip() for name in ("event", "event_id", "event_json")}
    wanted = Wanted(given["event"][:ID_CHARS], given["event_id"][:ID_CHARS], given["event_json"][: PASTED_CHARS + 1])
    found = check_of(SubscriptionForm.from_fields(request.form), wanted)
    return render.part("subscriptions/_check.html", check=found)


def check_of(form: SubscriptionForm, wanted: Wanted) -> Check:
    """The rule in the form, tried."""
    pattern = form.pattern.strip()
    with get_runtime().db.read() as conn:
        events = tuple(feed.recent_events(conn, types_of(pattern)))
    chosen = wanted.chosen if any(one.uid == wanted.chosen for one in events) else (events[0].uid if events else "")
    reading = form.rule.read()
    known = Check(faults=reading.faults, has_condition=bool(reading.faults), events=events, chosen=chosen)
    if reading.faults:
        return known
    try:
        event, at = _event(wanted, chosen, pattern)
    except (Refused, NotFound) as refused:
        first = refused.faults[0] if refused.faults else None
        return replace(known, trouble=f"{first.pointer} {first.message}".strip() if first else refused.detail)
    if event is None:
        return replace(known, has_condition=reading.tree is not None)
    words = f"{event.type} from {event.source}" if wanted.pasted or wanted.uid else ""
    return _judged(replace(known, misfit=_misfit(pattern, event.type), tried=words), reading.tree, event, at)


def _judged(known: Check, tree: Any, event: Event | EventDraft, at: datetime) -> Check:
    if tree is None:
        return known
    condition = parse_condition(tree)
    trace = condition.evaluate(event_view(event, at))
    return replace(known, trace=trace, blamed=blame(condition, trace), has_condition=True)


def _event(wanted: Wanted, chosen: str, pattern: str) -> tuple[Event | EventDraft | None, datetime]:
    """The event, and when it came: what ``now`` means in a condition."""
    rt = get_runtime()
    if wanted.pasted:
        return _pasted(wanted.pasted, pattern), rt.clock()
    if not (uid := wanted.uid or chosen):
        return None, rt.clock()
    with rt.db.read() as conn:
        if uid.startswith("smp_"):
            sample = dict(get_sample(conn, uid).event)
            return parse_event(sample, default_source="sample", now=rt.clock()), rt.clock()
        row = get_event_row(conn, uid)
    return as_it_came(to_event(row)), row.received_at


def _pasted(text: str, pattern: str) -> EventDraft:
    """What the API would be sent; an object without a type is taken for a payload."""
    if len(text) > PASTED_CHARS:
        raise Refused("too-long", f"At most {PASTED_CHARS // 1024} KiB.")
    document = parse_json(text.encode("utf-8", "surrogatepass"))
    if isinstance(document, dict) and "type" not in document:
        document = {"type": pattern if pattern and "*" not in pattern else "pasted.event", "payload": document}
    return parse_event(document, default_source="pasted", now=get_runtime().clock())


def _misfit(pattern: str, event_type: str) -> str:
    try:
        fits = not pattern or pattern_matches(parse_pattern(pattern), event_type)
    except Refused as refused:
        return refused.detail
    return "" if fits or event_type == "pasted.event" else f"The pattern {pattern} does not fit {event_type}."
