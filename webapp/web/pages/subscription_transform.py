"""What the transform in the form of a subscription makes of an event that really came, or of a payload typed in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request

from webapp.domain.errors import Fault, NotFound, Refused
from webapp.domain.events import Event
from webapp.domain.transform import Transform, TransformFailed, parse_transform
from webapp.store import feed_subscriptions as feed
from webapp.store.events import get_event_row, to_event
from webapp.web import render
from webapp.web.auth import require
from webapp.web.context import get_runtime
from webapp.web.pages.subscription_form import SubscriptionForm

bp = Blueprint("subscription_transform", __name__, url_prefix="/subscriptions")


@dataclass(frozen=True, slots=True)
class Shaped:
    """What became of one event, or why nothing did."""

    exists: bool = False  # there is a transform
    faults: tuple[Fault, ...] = ()  # of what was typed
    failure: str = ""  # of this event: its delivery would be dead
    made: tuple[tuple[str, str], ...] = ()  # what is replaced: name and JSON
    on: str = ""  # what it was tried on, in words


@bp.post("/transform")
@require("read", payloads=True)
def preview() -> Response:
    """The part beside the form."""
    form = SubscriptionForm.from_fields(request.form)
    return render.part("subscriptions/_transform.html", shaped=try_transform(form, request.form.get("event", "")))


def try_transform(form: SubscriptionForm, chosen: str) -> Shaped:
    """Try it on the typed payload, on the chosen event, or on the newest."""
    document, faults = form.transform_tree()
    sample, more = form.sample_payload()
    if sample is not None and not isinstance(sample, dict):
        more = [Fault("/sample", "wrong-type", "A payload is an object.")]
    if document is None and not faults:
        return Shaped()
    try:
        transform = None if faults else parse_transform(document)
    except Refused as refused:
        faults, transform = list(refused.faults), None
    if transform is None or more:
        return Shaped(True, (*faults, *more))
    event, words = _event(form, sample, chosen)
    return Shaped(True) if event is None else _apply(transform, event, words)


def _apply(transform: Transform, event: Event, words: str) -> Shaped:
    try:
        made = transform.apply(event)
    except TransformFailed as failed:
        return Shaped(True, failure=str(failed), on=words)
    texts = tuple((name, json.dumps(value, ensure_ascii=False)) for name, value in made.items())
    return Shaped(True, made=texts, on=words)


def _event(form: SubscriptionForm, sample: Any, chosen: str) -> tuple[Event | None, str]:
    rt = get_runtime()
    if sample is not None:
        kind = form.pattern.strip().replace("*", "sample") or "sample"
        return Event("sample", kind, sample, rt.clock(), "sample"), "the payload typed in"
    with rt.db.read() as conn:
        try:
            event = to_event(get_event_row(conn, chosen or _newest(conn)))
        except NotFound:
            return None, ""
    return event, f"{event.type} from {event.source}"


def _newest(conn: Any) -> str:
    return next((str(one.uid) for one in feed.recent_events(conn, (), 1)), "")
