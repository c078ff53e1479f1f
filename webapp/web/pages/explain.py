"""Trying an event: the form, what would become of it, and the part of an event's page that says why.

Nothing here stores or runs anything; the form is read as the one that sends events reads it.
"""

from __future__ import annotations

import json
from dataclasses import replace

from flask import Blueprint, Response, request

from webapp.domain.errors import Refused
from webapp.store import feed_events as feed
from webapp.store import samples
from webapp.store.feed_subscriptions import list_names
from webapp.web import render
from webapp.web.answers import url_with
from webapp.web.auth import current_actor, must_view_payloads, require
from webapp.web.checks import checked
from webapp.web.context import get_runtime
from webapp.web.pages.events import find_event
from webapp.web.pages.submit_form import Faults, Form, default_source
from webapp.web.why import Why, why_of_draft, why_of_event

bp = Blueprint("explain", __name__)

ID_CHARS = 64


@bp.get("/explain")
@require("read")
def index() -> Response:
    """The form; ``?again=`` fills it with what an event held, ``?type=`` only names one."""
    form = Form(type=request.args.get("type", "")[:128], source=default_source(current_actor()))
    if sample := request.args.get("sample", "")[:ID_CHARS]:
        must_view_payloads()
        with get_runtime().db.read() as conn:
            form = Form.from_document(samples.get_sample(conn, sample).event, form.source, "")
    if again := request.args.get("again", "")[:ID_CHARS]:
        form = _form_of(again)
    return _answer(form, asked=request.args.get("subscription", "")[:ID_CHARS])


@bp.post("/explain")
@require("read")
def try_event() -> Response:
    """What would become of the event in the form, beside the form itself."""
    form = Form.from_request(once=get_runtime().new_id("web"))
    asked = request.form.get("subscription", "")[:ID_CHARS]
    try:
        draft = form.to_draft(current_actor())
    except Refused as refused:
        return _answer(form, asked=asked, errors=Faults.of(refused).by_field, status=422)
    return _answer(form, asked=asked, why=why_of_draft(draft, asked))


@bp.post("/explain/-/check")
@require("read")
def check() -> Response:
    """What is wrong so far with the fields that were touched."""
    try:
        Form.from_request(once="check").to_draft(current_actor())
    except Refused as refused:
        return checked(Faults.of(refused).by_field)
    return checked({})


@bp.get("/events/<uid>/why")
@require("read")
def why(uid: str) -> Response:
    """The part of the event's page, for one more subscription or for all. The address bar keeps what was asked."""
    event, asked = find_event(uid), request.args.get("subscription", "")[:ID_CHARS]
    found = why_of_event(event.uid, asked, whole="all" in request.args)
    response = render.part("events/_why.html", why=found)
    response.headers["HX-Replace-Url"] = url_with(f"/events/{event.uid}", subscription=asked)
    return response


def _form_of(uid: str) -> Form:
    event = find_event(uid)
    labels = "\n".join(f"{key}={value}" for key, value in event.labels.items())
    laid_out = json.dumps(json.loads(event.payload), indent=2, ensure_ascii=False)
    return Form(event.type, event.source, event.subject or "", laid_out, labels)


def _answer(
    form: Form,
    *,
    asked: str,
    why: Why | None = None,
    errors: dict[str, list[str]] | None = None,
    status: int = 200,
) -> Response:
    with get_runtime().db.read() as conn:
        types, names = feed.known_types(conn), list_names(conn)
    response = render.page_or_part(
        "explain/index.html",
        "explain/_form.html",
        form=replace(form, once=""),
        errors=errors or {},
        types=types,
        names=names,
        asked=asked,
        why=why,
    )
    response.status_code = status
    return response
