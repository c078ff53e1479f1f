"""Pages of exports and imports: the list, one with its progress and its file, the form of an export."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp.domain.access import PAYLOADS
from webapp.domain.bulk import ENDED
from webapp.domain.errors import Conflict, Refused
from webapp.domain.exports import FORMATS, parse_export
from webapp.services import exports
from webapp.store import transfers
from webapp.store.feed_subscriptions import list_names
from webapp.web import render
from webapp.web.answers import done, url_with
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.transfer_files import faults_answer, file_answer
from webapp.web.transfer_forms import document_of

bp = Blueprint("transfers", __name__, url_prefix="/transfers")

FAULTS_SHOWN = 50
FORMAT_WORDS = {
    "csv": "CSV, for spreadsheets",
    "ndjson": "NDJSON, one JSON document a line",
    "cloudevents": "CloudEvents, one a line",
}
STEP_WORDS = {"pause": "Paused", "resume": "Goes on", "abort": "Aborted"}


@bp.get("")
@require("read")
def index() -> Response:
    """The list, newest first; the part is the table."""
    before = request.args.get("before", "")[:64]
    with get_runtime().db.read() as conn:
        found = transfers.newest(conn, before)
    return render.page_or_part(
        "transfers/index.html",
        "transfers/_table.html",
        found=found,
        here=url_with(request.path, before=before),
        older=url_with(request.path, before=found.next) if found.next else None,
        newest_url=request.path if before else None,
    )


@bp.get("/new")
@require("read")
def new() -> Response:
    """The form of an export, filled in from the address of a list."""
    return _form(document_of(request.args.to_dict()))


@bp.post("")
@require("read")
def create() -> Response:
    """Begin, or show what is wrong."""
    document = document_of(request.form.to_dict())
    try:
        made = exports.start(get_runtime(), current_actor(), parse_export(document, get_runtime().clock()))
    except Refused as refused:
        return _form(document, [fault.message for fault in refused.faults] or [refused.detail], status=422)
    except Conflict as busy:
        return _form(document, [busy.detail], status=busy.status)
    there = url_for("transfers.show", transfer_id=made)
    return done("The file is being written", back=there, go=there)


@bp.get("/<transfer_id>")
@require("read")
def show(transfer_id: str) -> Response:
    """One export; the part is all that moves."""
    actor = current_actor()
    with get_runtime().db.read() as conn:
        row = transfers.get(conn, transfer_id)
        refused = transfers.faults_of(conn, transfer_id, FAULTS_SHOWN)
        names = dict(list_names(conn))
    return render.page_or_part(
        "transfers/show.html",
        "transfers/_body.html",
        row=row,
        faults=refused,
        most_faults=transfers.MAX_FAULTS,
        names=names,
        formats=FORMAT_WORDS,
        has_ended=row.state in ENDED,
        is_mine=exports.is_of(row, actor),
        may_fetch=exports.is_of(row, actor) and (actor.can(PAYLOADS) or not row.shows_payloads),
        may_step=exports.is_of(row, actor) or actor.can("administer"),
    )


@bp.get("/<transfer_id>/file")
@require("read")
def fetch(transfer_id: str) -> Response:
    """The file, for whoever asked for it."""
    return file_answer(transfer_id)


@bp.get("/<transfer_id>/faults")
@require("read")
def faults(transfer_id: str) -> Response:
    """The lines of an import that were refused, all that are kept, as a file."""
    return faults_answer(transfer_id)


@bp.post("/<transfer_id>/discard")
@require("read")
def discard(transfer_id: str) -> Response:
    """Delete the file."""
    exports.discard(get_runtime(), current_actor(), transfer_id)
    return done("The file is deleted", back=url_for("transfers.show", transfer_id=transfer_id))


@bp.post("/<transfer_id>/<any(pause, resume, abort):verb>")
@require("read")
def step(transfer_id: str, verb: str) -> Response:
    """The buttons."""
    exports.step(get_runtime(), current_actor(), transfer_id, verb)
    return done(STEP_WORDS[verb], back=url_for("transfers.show", transfer_id=transfer_id))


@bp.get("/<transfer_id>/<any(pause, resume, abort, discard):verb>")
@require("read")
def look_first(transfer_id: str, verb: str) -> AnyResponse:
    """The address of a button that was reloaded leads back."""
    return redirect(url_for("transfers.show", transfer_id=transfer_id), 303)


def _form(document: dict[str, Any], faults: list[str] | None = None, status: int = 200) -> Response:
    with get_runtime().db.read() as conn:
        names = dict(list_names(conn))
    return render.part(
        "transfers/new.html",
        status=status,
        asked=document,
        faults=faults or [],
        format_choices=[(name, FORMAT_WORDS[name]) for name in FORMATS[document["what"]]],
        names=names,
    )
