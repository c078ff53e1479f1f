"""Pages of inbound sources: the list, one with its address and last requests, the form, and its buttons.

A secret that the hub made is in exactly one answer, the one to the form that made it. The address is shown in full
only to those who may edit the source.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp.domain.consumed import CONSUMED
from webapp.domain.errors import Conflict, NotFound, Refused
from webapp.domain.signatures import ALGORITHMS, ENCODINGS
from webapp.domain.sources import OPTIONS, THEIRS, templates_of
from webapp.services import sources as service
from webapp.services.sources import Made
from webapp.store import sources as store
from webapp.store.api_metrics import WORKER_IS_LOST
from webapp.store.audit import Target
from webapp.store.source_connections import connections_of
from webapp.web import render
from webapp.web.answers import done, url_with
from webapp.web.auth import current_actor, require
from webapp.web.checks import checked
from webapp.web.conflicts import GONE, Clash, clash_of, opened_for, resolved, revision_of
from webapp.web.context import get_runtime
from webapp.web.pages.source_form import LABELS, Errors, SourceForm, by_field
from webapp.web.requests import read_form
from webapp.web.source_words import CHOICE_WORDS, KINDS, OPTION_WORDS, URL_EXAMPLES, trial

bp = Blueprint("sources", __name__, url_prefix="/sources")

PER_PAGE = 50
OVERLAPS = (("0", "at once"), ("1", "in an hour"), ("24", "in a day"), ("168", "in a week"))


@bp.get("")
@require("read")
def index() -> Response:
    """The list, by name; the part is the table."""
    after = request.args.get("after", "")[:400]
    with get_runtime().db.read() as conn:
        rows, following = store.list_sources(conn, after, PER_PAGE)
        traffic = store.traffic_of(conn, [row.id for row in rows])
    return render.page_or_part(
        "sources/index.html",
        "sources/_table.html",
        rows=rows,
        traffic=traffic,
        kinds=KINDS,
        here=url_with(request.path, after=after),
        following=url_with(request.path, after=following) if following else None,
        first=request.path if after else None,
    )


@bp.get("/new")
@require("design")
def new() -> Response:
    """The kinds to choose from, or the form of one."""
    kind = request.args.get("kind", "")
    if kind not in KINDS:
        return render.part("sources/kinds.html", kinds=KINDS)
    return _form(SourceForm.empty(kind))


@bp.post("")
@require("design")
def create() -> Response:
    """Store it and show it, with its secret if the hub made one; or show what is wrong."""
    kind = request.form.get("kind", "")
    if kind not in KINDS:
        raise NotFound("There is no such kind of source.")
    form = SourceForm.from_fields(kind, request.form)
    draft, errors = form.to_draft(exists=False)
    if draft is None:
        return _form(form, errors=errors, status=422)
    return _made(service.create(get_runtime(), current_actor(), draft), f"Source {draft.name} is created")


@bp.get("/<source_id>")
@require("read")
def show(source_id: str) -> Response:
    """One source."""
    return _show(source_id)


@bp.get("/<source_id>/requests")
@require("read")
def requests(source_id: str) -> Response:
    """The part with its last requests."""
    with get_runtime().db.read() as conn:
        row = store.get_source(conn, source_id)
        last = store.last_requests(conn, source_id)
    return render.part("sources/_requests.html", source=row, requests=last, consumed=row.kind in CONSUMED)


@bp.get("/<source_id>/connections")
@require("read")
def connections(source_id: str) -> Response:
    """The part that says how it is consumed."""
    return render.part("sources/_connections.html", source=_find(source_id), connections=_connections(source_id))


@bp.get("/<source_id>/requests/<request_id>")
@require("read")
def show_request(source_id: str, request_id: str) -> Response:
    """One request: why it was refused, its headers and the beginning of its body."""
    with get_runtime().db.read() as conn:
        row = store.get_source(conn, source_id)
        one = store.get_request(conn, source_id, request_id)
    return render.part("sources/request.html", source=row, one=one)


@bp.get("/<source_id>/edit")
@require("design")
def edit(source_id: str) -> Response:
    """The form, filled in."""
    row = _find(source_id)
    return _form(SourceForm.from_row(row), row=row)


@bp.post("/<source_id>")
@require("design")
def save(source_id: str) -> Response:
    """Change it, unless somebody was faster: then show what differs."""
    try:
        row = _find(source_id)
    except NotFound:
        if request.form.get("kind") not in KINDS:
            raise
        return _form(SourceForm.from_fields(request.form["kind"], request.form), errors={"": [GONE]}, status=409)
    form = resolved(SourceForm.from_fields(row.kind, request.form), request.form)
    draft, errors = form.to_draft(exists=True)
    if draft is None:
        return _form(form, row=row, errors=errors, status=422)
    try:
        service.update(get_runtime(), current_actor(), source_id, draft, revision_of(form.revision))
    except Conflict:
        return _clashed(form, source_id)
    return done(f"Source {draft.name} is saved", back=_page(source_id), go=_page(source_id))


@bp.post("/-/check")
@require("design")
def check() -> Response:
    """What is wrong so far with the fields that were touched. One that is there already has a revision."""
    kind = request.form.get("kind", "")
    if kind not in KINDS:
        raise NotFound("There is no such kind of source.")
    form = SourceForm.from_fields(kind, request.form)
    return checked(form.to_draft(exists=bool(form.revision))[1])


def _clashed(form: SourceForm, source_id: str) -> Response:
    row, target = _find(source_id), Target("source", source_id)
    with get_runtime().db.read() as conn:
        clash = clash_of(conn, form, SourceForm.from_row(row), request.form, target=target, labels=LABELS)
    return _form(form, row=row, clash=clash, status=409)


@bp.post("/<source_id>/rotate")
@require("design")
def rotate(source_id: str) -> Response:
    """Another secret; the one before vouches for a while."""
    sent = read_form("secret", "overlap")
    hours = int(sent["overlap"]) if sent["overlap"] in dict(OVERLAPS) else 0
    try:
        made = service.rotate(
            get_runtime(), current_actor(), source_id, sent["secret"].strip() or None, timedelta(hours=hours)
        )
    except Refused as refused:
        return _show(source_id, errors=by_field(list(refused.faults)), status=422)
    return _made(made, "The secret is replaced")


@bp.post("/<source_id>/disable")
@require("design")
def disable(source_id: str) -> Response:
    """Refuse its requests."""
    service.disable(get_runtime(), current_actor(), source_id)
    return done("Disabled; its requests are refused", back=_page(source_id), go=_page(source_id))


@bp.post("/<source_id>/enable")
@require("design")
def enable(source_id: str) -> Response:
    """Take its requests again."""
    service.enable(get_runtime(), current_actor(), source_id)
    return done("Enabled", back=_page(source_id), go=_page(source_id))


@bp.post("/<source_id>/delete")
@require("design")
def delete(source_id: str) -> Response:
    """Its address is nothing any more."""
    service.delete(get_runtime(), current_actor(), source_id)
    return done("Deleted; its events stay", back="/sources", go="/sources")


@bp.get("/<source_id>/rotate")
@bp.get("/<source_id>/disable")
@bp.get("/<source_id>/enable")
@bp.get("/<source_id>/delete")
@require("read")
def look_first(source_id: str) -> AnyResponse:
    """The address of a button that was reloaded leads back to its source."""
    return redirect(_page(source_id), 303)


def url_of(row: Any) -> str:
    """The address for the sender, in full: for those who may edit the source."""
    return f"{get_runtime().settings.base_url}/{'p' if row.kind == 'publish' else 'in'}/{row.token}"


def _made(made: Made, words: str) -> Response:
    if made.secret is None:
        return done(words, back=_page(made.id), go=_page(made.id))
    return _show(made.id, secret=made.secret)


def _show(source_id: str, *, secret: str | None = None, errors: Errors | None = None, status: int = 200) -> Response:
    rt, actor = get_runtime(), current_actor()
    with rt.db.read() as conn:
        row = store.get_source(conn, source_id)
        last = store.last_requests(conn, source_id)
    shown = url_of(row) if actor.can("design") else url_of(row).replace(row.token, f"{row.token[:4]}…")
    overlapping = row.previous_until if row.previous_until is not None and row.previous_until > rt.clock() else None
    return render.part(
        "sources/show.html",
        status=status,
        source=row,
        requests=last,
        url=shown,
        words=KINDS[row.kind],
        trial=trial(row, shown),
        templates=templates_of(row.kind, row.mapping),
        consumed=row.kind in CONSUMED,
        connections=_connections(source_id) if row.kind in CONSUMED else (),
        overlapping=overlapping,
        overlaps=OVERLAPS,
        theirs=row.kind in THEIRS,
        secret=secret,
        errors=errors or {},
    )


def _form(
    form: SourceForm,
    *,
    row: Any = None,
    errors: Errors | None = None,
    clash: Clash | None = None,
    status: int = 200,
) -> Response:
    with get_runtime().db.read() as conn:
        stored = None if row is None else SourceForm.from_row(row)
        opened = opened_for(conn, stored, Target("source", row.id if row else ""), is_refused=bool(errors))
    return render.part(
        "sources/form.html",
        status=status,
        form=form,
        row=row,
        errors=errors or {},
        clash=clash,
        opened=opened,
        words=KINDS[form.kind],
        options=OPTIONS.get(form.kind, ()),
        algorithms=[(one, one) for one in ALGORITHMS],
        encodings=[(one, one) for one in ENCODINGS],
        broker=CONSUMED.get(form.kind),
        option_words=OPTION_WORDS,
        url_example=URL_EXAMPLES.get(form.kind, ""),
        choice_words=CHOICE_WORDS,
        theirs=form.kind in THEIRS,
    )


def _connections(source_id: str) -> Any:
    rt = get_runtime()
    with rt.db.read() as conn:
        return connections_of(conn, source_id, rt.clock() - WORKER_IS_LOST)


def _find(source_id: str) -> Any:
    with get_runtime().db.read() as conn:
        return store.get_source(conn, source_id)


def _page(source_id: str) -> str:
    return url_for("sources.show", source_id=source_id)
