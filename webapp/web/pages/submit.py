"""The form that sends an event, for people: made of the schema of the type, or JSON text; both in step.

Sending twice stores once: each form carries an id of its own that becomes the sender's id of the event.
What was typed is never lost: a form that is refused comes back as it was, with the faults at their fields.
Nothing is sent by opening a link.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, make_response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp.domain.errors import Refused
from webapp.domain.jsontext import to_text
from webapp.domain.prefill import MAX_LINK_CHARS, pairs_of, payload_of
from webapp.domain.schema_form_words import words_of
from webapp.store import samples
from webapp.store.feed_submit import suggestions
from webapp.web import render, snippets
from webapp.web.auth import current_actor, must_view_payloads, require
from webapp.web.checks import told_of
from webapp.web.context import get_acceptor, get_runtime
from webapp.web.pages.events import answer_context, find_event
from webapp.web.pages.payload_form import EXAMPLE, MODES, PayloadForm, digest, find_type, starting_of
from webapp.web.pages.submit_form import Faults, Form, default_source, labels_of, parse_labels

bp = Blueprint("submit", __name__, url_prefix="/events")

ID_CHARS = 64
AROUND = ("type", "source", "subject", "labels", "deliver_at")  # the fields beside the payload
SAMPLES_SHOWN = 8
CHANGED = "events:changed"  # what stands beside the form listens to it

_STEP = re.compile(r"(add|remove):(p(?:-[0-9x]{1,4}){1,10})")


@bp.get("/new")
@require("publish")
def new() -> Response:
    """The form. ``?from=`` is for an event made from another, ``?like=`` for one with the same content, ``?sample=`` for
    a sample; any other address fills in what it names: ``?type=order.paid&payload.amount=12&label.tier=gold``."""
    rt, source = get_runtime(), default_source(current_actor())
    once = rt.new_id("web")
    if any(name in request.args for name in ("from", "like", "sample")):
        must_view_payloads()
    if original := request.args.get("from", "")[:ID_CHARS]:
        return _answer(Form.from_event(find_event(original), once, cause=original))
    if like := request.args.get("like", "")[:ID_CHARS]:
        return _answer(Form.from_event(find_event(like), once))
    if sample := request.args.get("sample", "")[:ID_CHARS]:
        with rt.db.read() as conn:
            row = samples.get_sample(conn, sample)
        return _answer(Form.from_document(row.event, source, once))
    try:
        return _answer(Form.from_document(_linked(), source, once))
    except Refused as refused:
        empty = Form(type=request.args.get("type", "")[:128], source=source, once=once)
        return _answer(empty, errors={"": [f"The link cannot be read. {refused.detail}"]}, status=422)


@bp.post("")
@require("publish")
def create() -> Response | AnyResponse:
    """Send it. htmx gets the form again, with the answer beneath; a plain browser goes to the event."""
    rt, actor = get_runtime(), current_actor()
    form = Form.from_request(once=rt.new_id("web"))
    payload = PayloadForm.of_request(request.form, form.type.strip())
    try:
        accepted = get_acceptor().accept(form.to_draft(actor, payload), actor)
    except Refused as refused:
        return _answer(form, payload, Faults.of(refused).at(payload), status=422)
    if not render.wants_part():
        return redirect(url_for("events.show", uid=accepted.uid), 303)
    fresh = replace(form, deliver_at="", once=rt.new_id("web"))
    return _answer(fresh, payload, uid=accepted.uid, duplicate=accepted.duplicate)


@bp.post("/form")
@require("publish")
def step() -> Response:
    """The payload as it was asked for: of another type or version, in the other form, with a row more or less."""
    form, asked = Form.from_request(once=get_runtime().new_id("web")), request.form.get("do", "")
    before = PayloadForm.of_request(request.form, form.type.strip())
    if asked == "type" and before.type.name != form.type.strip():
        form = replace(form, version="")  # it was one of the other type
    try:
        after = _stepped(before, asked, form)
    except Refused as refused:
        errors = before.placed(refused.faults)
        return _payload_part(form, before, errors, status=422)
    if asked == "type" and not _looks_new(before, after):
        return _payload_part(form, after, quiet=True)
    return _payload_part(form, after)


@bp.post("/check")
@require("publish")
def check() -> Response:
    """What is wrong so far: with the payload, at its fields, and with those of the others that were touched.

    What is only missing from the payload is told when it is sent.
    """
    form = Form.from_request(once="check")
    payload = PayloadForm.of_request(request.form, form.type.strip())
    typed = payload.reading.faults if payload.reading is not None else ()
    wrong = [one for one in typed if one.code != "required"]
    faults = wrong or [one for one in payload.judged() if one.code != "required" or request.form.get("told")]
    errors = payload.placed(faults)
    around = {name: texts for name, texts in told_of(_around(form)).items() if name in AROUND}
    status = 422 if errors or any(around.values()) else 200
    return render.part("events/_check.html", status=status, payload=payload, errors=errors, around=around, oob=True)


def _around(form: Form) -> dict[str, list[str]]:
    try:
        form.to_draft(current_actor())
    except Refused as refused:
        return Faults.of(refused).by_field
    return {}


@bp.post("/code")
@require("publish")
def code() -> Response:
    """The same event as a program would send it, and as a link to this form."""
    form = Form.from_request(once="")
    payload = PayloadForm.of_request(request.form, form.type.strip())
    return render.part("events/_code.html", **_code_context(form, payload))


def _stepped(before: PayloadForm, asked: str, form: Form) -> PayloadForm:
    if found := _STEP.fullmatch(asked):
        return before.grown(found[1], found[2])
    wanted = request.form.get("to", before.mode)
    if asked == "type" or before.type.name != form.type.strip():
        return before.of_type(form.type.strip(), form.version)
    if asked == "version":
        return before.of_type(form.type.strip(), form.version)
    return before.switched(wanted) if wanted in MODES and wanted != before.mode else before


def _looks_new(before: PayloadForm, after: PayloadForm) -> bool:
    """Whether the payload has to be drawn again. If not, what somebody types into it meanwhile is left alone."""
    plain = before.type.schema is None and after.type.schema is None
    return not (plain or (before.type.name == after.type.name and before.type.version == after.type.version))


def _payload_part(
    form: Form,
    payload: PayloadForm,
    errors: dict[str, list[str]] | None = None,
    *,
    status: int = 200,
    quiet: bool = False,
) -> Response:
    if not render.wants_part():
        return _answer(form, payload, errors, status=status)
    context = _context(form, payload, errors or {})
    response = render.part("events/_step.html", status=status, quiet=quiet, **context)
    if quiet:
        response.headers["HX-Reswap"] = "none"
    response.headers["HX-Trigger-After-Settle"] = CHANGED
    return response


def _answer(
    form: Form,
    payload: PayloadForm | None = None,
    errors: dict[str, list[str]] | None = None,
    *,
    status: int = 200,
    uid: str = "",
    duplicate: bool = False,
) -> Response:
    payload = payload or form.payload_form()
    with get_runtime().db.read() as conn:
        known = suggestions(conn)
    answered = answer_context(find_event(uid)) if uid else {}
    context = _context(form, payload, errors or {}) | _code_context(form, payload) | answered
    context |= {"types": known, "sent": bool(uid), "duplicate": duplicate, "told": bool(errors)}
    response = render.page_or_part("events/new.html", "events/_form.html", **context)
    response.status_code = status
    return response


def _context(form: Form, payload: PayloadForm, errors: dict[str, list[str]]) -> dict[str, Any]:
    name = form.type.strip()
    known = payload.type if payload.type.name == name else find_type(name, form.version)
    return {
        "form": form,
        "payload": payload,
        "known": known,
        "modes": MODES,
        "digest": digest(payload.type),
        "errors": errors,
        "words_of": words_of,
        "called": labels_of(payload.reading.root.walk()) if payload.reading is not None else {},
        **samples_context(name),
    }


def samples_context(event_type: str) -> dict[str, Any]:
    """The samples beside the form."""
    with get_runtime().db.read() as conn:
        rows, following = samples.list_samples(conn, type=event_type, limit=SAMPLES_SHOWN)
    return {"samples": rows, "more_samples": following is not None, "samples_type": event_type}


def _code_context(form: Form, payload: PayloadForm) -> dict[str, Any]:
    document = shown_document(form, payload)
    base = get_runtime().settings.public_url or request.host_url.rstrip("/")
    link = f"{base}/events/new?{urlencode(_pairs(document, payload))}"
    return {
        "curl": snippets.curl(base, document),
        "python": snippets.python(base, document),
        "form_link": link if len(link) <= MAX_LINK_CHARS else "",
    }


def shown_document(form: Form, payload: PayloadForm) -> dict[str, Any]:
    """What a program would send, as far as the form can be read."""
    document: dict[str, Any] = {"type": form.type.strip() or "order.paid", "payload": payload.best_document()}
    document |= {name: text for name in ("source", "subject") if (text := getattr(form, name).strip())}
    if form.version.isascii() and form.version.isdecimal() and form.version != "1" and len(form.version) < 10:
        document["version"] = int(form.version)
    try:
        labels = parse_labels(form.labels)
    except Refused:
        labels = {}
    return document | ({"labels": labels} if labels else {}) | form.timing()


def _pairs(document: dict[str, Any], payload: PayloadForm) -> list[tuple[str, str]]:
    plain: list[tuple[str, str]] = [
        (name, str(document[name])) for name in ("type", "version", "source", "subject") if name in document
    ]
    plain += [("deliver_at", text) for name in ("deliver_at", "delay") if (text := document.get(name))]
    plain += [(f"label.{key}", value) for key, value in document.get("labels", {}).items()]
    content, known = document["payload"], payload.type
    if known.schema is not None and not starting_of(known).keys() <= content.keys():
        return [*plain, ("payload", to_text(content))]  # else the link would bring back what was taken out
    return plain + pairs_of(content, known.schema)


def _linked() -> dict[str, Any]:
    """What the address names of an event. Raises ``Refused``."""
    given = request.args
    event: dict[str, Any] = {name: given.get(name, "")[:1024] for name in ("type", "source", "subject", "deliver_at")}
    event["version"] = given.get("version", "")[:10]
    event["labels"] = {key[6:]: text for key, text in given.items() if key.startswith("label.") and len(key) > 6}
    known = find_type(event["type"], event["version"])
    filled = payload_of(given.items(multi=True), known.schema)
    named = any(key == "payload" or key.startswith("payload.") for key in given)
    start = starting_of(known) if known.schema is not None or not named else {}
    event["payload"] = {**start, **filled} if "payload" not in given else filled
    return event if event["payload"] else event | {"payload": dict(EXAMPLE) if known.schema is None else {}}


def part_of_samples(event_type: str, *, error: str = "", name: str = "", status: int = 200) -> Response:
    """The samples beside the form, drawn again."""
    context = samples_context(event_type) | {"sample_error": error, "sample_name": name}
    return make_response(render.part("events/_samples.html", status=status, **context))
