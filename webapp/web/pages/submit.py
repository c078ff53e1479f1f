"""The form that sends an event, for people.

Sending twice stores once: each form carries an id of its own that becomes the sender's id of the event.
What was typed is never lost: a form that is refused comes back as it was, with the faults at their fields.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp.domain.access import Actor
from webapp.domain.errors import Fault, Refused
from webapp.domain.events import EventDraft, parse_event
from webapp.domain.jsontext import parse_json
from webapp.store import feed_events as feed
from webapp.store.feed_events import EventDetail
from webapp.web import render
from webapp.web.auth import current_actor, require
from webapp.web.context import get_acceptor, get_runtime
from webapp.web.pages.events import find_event, progress_context

bp = Blueprint("submit", __name__, url_prefix="/events")

EXAMPLE = '{\n  "order_id": "o_88213",\n  "amount": 129.5,\n  "currency": "EUR"\n}'
Read = TypeVar("Read")
FIELDS = ("type", "source", "subject", "payload", "labels", "deliver_at")


@dataclass(frozen=True, slots=True)
class Form:
    """What stands in the fields."""

    type: str = ""
    source: str = ""
    subject: str = ""
    payload: str = EXAMPLE
    labels: str = ""
    deliver_at: str = ""  # a time, or a delay
    once: str = ""  # becomes the id of the event, so that a double click is one event
    cause: str = ""  # the event that this one is made from

    @classmethod
    def from_request(cls, once: str) -> Form:
        """As it was sent; browsers send line breaks as CR LF."""
        given = {name: request.form.get(name, "").replace("\r\n", "\n") for name in FIELDS}
        cause = request.form.get("cause", "")[:64]
        return cls(**given, once=request.form.get("once", "")[:64] or once, cause=cause)

    @classmethod
    def from_event(cls, event: EventDetail, once: str) -> Form:
        """What that event held, to be edited."""
        labels = "\n".join(f"{key}={value}" for key, value in event.labels.items())
        laid_out = json.dumps(json.loads(event.payload), indent=2, ensure_ascii=False)
        return cls(event.type, event.source, event.subject or "", laid_out, labels, once=once, cause=event.uid)

    def to_draft(self, actor: Actor) -> EventDraft:
        """The event; raises ``Refused`` with pointers into the document that the API would be sent."""
        nothing: dict[str, Any] = {}
        payload, faults = _tried(lambda: _payload(self.payload), nothing)
        labels, more = _tried(lambda: dict[str, Any](parse_labels(self.labels)), nothing)
        document: dict[str, Any] = {"type": self.type.strip(), "id": self.once, "payload": payload, "labels": labels}
        document |= {name: text for name in ("source", "subject") if (text := getattr(self, name).strip())}
        document |= self.timing() | self.derivation()
        now = get_runtime().clock()
        draft, others = _tried(lambda: parse_event(document, default_source=default_source(actor), now=now), None)
        if draft is None or faults or more:
            raise Refused("invalid-event", "The event cannot be sent as it is.", faults=(*others, *faults, *more))
        return draft

    def derivation(self) -> dict[str, Any]:
        """What an event that was made from another takes from it: its cause, and what it belongs to."""
        if not self.cause:
            return {}
        original = find_event(self.cause)
        kept = {"causation_id": original.uid, "version": original.version}
        return kept | ({"correlation_id": original.correlation_id} if original.correlation_id else {})

    def timing(self) -> dict[str, str]:
        """``deliver_at`` or ``delay``, whichever of them was written into the one field."""
        text = self.deliver_at.strip()
        if not text:
            return {}
        return {"deliver_at" if "-" in text or ":" in text else "delay": text}


@dataclass(slots=True)
class Faults:
    """Field name -> what is wrong with it; the key "" is the form as a whole."""

    by_field: dict[str, list[str]] = field(default_factory=dict)

    def add(self, fault: Fault) -> None:
        name = fault.pointer.split("/")[1] if fault.pointer.startswith("/") else ""
        name = "deliver_at" if name == "delay" else name  # one field has either
        inside = fault.pointer[len(name) + 1 :] if name in ("payload", "labels") else ""
        text = f"{inside}: {fault.message}" if inside else fault.message
        self.by_field.setdefault(name if name in FIELDS else "", []).append(text)


@bp.get("/new")
@require("publish")
def new() -> Response:
    """The form; ``?from=`` fills it with what an earlier event held, for a new one that names it as its cause."""
    rt, actor = get_runtime(), current_actor()
    once = rt.new_id("web")
    if original := request.args.get("from", "")[:64]:
        return _answer(Form.from_event(find_event(original), once))
    return _answer(Form(type=request.args.get("type", "")[:128], source=default_source(actor), once=once))


@bp.post("")
@require("publish")
def create() -> Response | AnyResponse:
    """Send it. htmx gets the form again, with the answer beneath; a plain browser goes to the event."""
    rt, actor = get_runtime(), current_actor()
    form = Form.from_request(once=rt.new_id("web"))
    try:
        accepted = get_acceptor().accept(form.to_draft(actor), actor)
    except Refused as refused:
        faults = Faults()
        for fault in refused.faults or (Fault("", refused.slug, refused.detail),):
            faults.add(fault)
        return _answer(form, faults.by_field, status=422)
    if not render.wants_part():
        return redirect(url_for("events.show", uid=accepted.uid), 303)
    fresh = replace(form, deliver_at="", once=rt.new_id("web"))
    return _answer(fresh, uid=accepted.uid, duplicate=accepted.duplicate)


def _answer(
    form: Form,
    errors: dict[str, list[str]] | None = None,
    *,
    status: int = 200,
    uid: str = "",
    duplicate: bool = False,
) -> Response:
    with get_runtime().db.read() as conn:
        known = feed.known_types(conn)
    context = progress_context(find_event(uid)) if uid else {}
    response = render.page_or_part(
        "events/new.html",
        "events/_form.html",
        form=form,
        errors=errors or {},
        types=known,
        curl=_curl(form),
        sent=bool(uid),
        duplicate=duplicate,
        **context,
    )
    response.status_code = status
    return response


def default_source(actor: Actor) -> str:
    """Where an event of this person comes from, unless they say otherwise."""
    return f"web/{actor.name}"


def parse_labels(text: str) -> dict[str, str]:
    """``key=value`` per line. Raises ``Refused`` for a line without a key, and for a key that comes twice."""
    labels: dict[str, str] = {}
    faults = []
    for n, line in enumerate(text.splitlines(), 1):
        key, sign, value = (part.strip() for part in line.partition("="))
        if not line.strip():
            continue
        if not sign or not key:
            faults.append(Fault("/labels", "invalid-value", f"Line {n}: write a label as key=value."))
        elif key in labels:
            faults.append(Fault("/labels", "duplicate-key", f"Line {n}: the label {key[:64]} is there already."))
        labels[key] = value
    if faults:
        raise Refused("invalid-event", "The labels cannot be used.", faults=faults)
    return labels


def _tried(read: Callable[[], Read], instead: Read) -> tuple[Read, tuple[Fault, ...]]:
    """What was read and no faults, or something instead and what was wrong: people are told everything at once."""
    try:
        return read(), ()
    except Refused as refused:
        return instead, refused.faults or (Fault("", refused.slug, refused.detail),)


def _payload(text: str) -> Any:
    try:
        return parse_json(text.encode("utf-8", "surrogatepass"))
    except Refused as refused:
        faults = refused.faults or (Fault("", refused.slug, refused.detail),)
        moved = [Fault("/payload" + fault.pointer, fault.code, fault.message) for fault in faults]
        raise Refused(refused.slug, refused.detail, faults=moved) from None


def _curl(form: Form) -> str:
    """The same event as a command, safe to paste into a shell."""
    base = get_runtime().settings.public_url or request.host_url.rstrip("/")
    try:
        payload: Any = json.loads(form.payload)
    except (ValueError, RecursionError):
        payload = {}
    document: dict[str, Any] = {"type": form.type.strip() or "order.paid", "payload": payload}
    document |= {name: text for name in ("source", "subject") if (text := getattr(form, name).strip())}
    document |= form.timing()
    body = shlex.quote(json.dumps(document, ensure_ascii=False))
    return (
        f"curl {shlex.quote(base + '/api/v1/events')} \\\n"
        "  -H 'Authorization: Bearer sbx_…' \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d {body}"
    )
