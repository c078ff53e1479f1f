"""Pages of bulk operations: the list, one with its progress, and the form with its dry run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp.domain.bulk import DEFAULT_ABORT_RATE, ENDED, BulkDraft, Kind, parse_bulk
from webapp.domain.errors import Fault, Refused
from webapp.domain.jsontext import parse_json
from webapp.domain.selections import ACTION, STATES
from webapp.services import bulk as service
from webapp.services.bulk import Preview
from webapp.store import bulk_operations
from webapp.store.feed_subscriptions import list_names
from webapp.web import render
from webapp.web.answers import SINCE, done, url_with
from webapp.web.auth import current_actor, require
from webapp.web.checks import checked
from webapp.web.context import get_runtime

bp = Blueprint("bulk", __name__, url_prefix="/bulk")

FIELD_CHARS = 20_000
ERRORS_SHOWN = 50
KINDS = {
    Kind.RETRY: ("Retry", "Try dead and waiting deliveries now; dead ones get all their tries again."),
    Kind.RERUN: ("Re-run", "Run the events of ended deliveries again, each as a new delivery."),
    Kind.CANCEL: ("Cancel", "Stop deliveries that have not ended, for good."),
    Kind.REPLAY: ("Replay", "Run events of a time again: for everything they went to, or for one subscription."),
}
# What is offered first for deliveries in this state; for the others it is a retry.
FITTING = {"running": Kind.CANCEL, "pending": Kind.CANCEL, "held": Kind.CANCEL}
FITTING |= dict.fromkeys(("succeeded", "skipped", "cancelled"), Kind.RERUN)
STATE_CHOICES = (("", "Any that fits"), *((s, "Needs action" if s == ACTION else s.capitalize()) for s in STATES))
STEP_WORDS = {"pause": "Paused", "resume": "Goes on", "abort": "Aborted"}
Errors = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class BulkForm:
    """The fields as a person typed them."""

    kind: str = "retry"
    state: str = ""
    subscription: str = ""
    error: str = ""
    since: str = ""
    until: str = ""
    event: str = ""  # a condition as JSON
    reason: str = ""
    pace: str = ""
    abort_rate: str = f"{DEFAULT_ABORT_RATE * 100:.0f}"  # percent

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> BulkForm:
        """What a browser or an address gave; the times of other pages' filters (``24h``) are understood."""
        given = {name: fields[name][:FIELD_CHARS] for name in cls.__dataclass_fields__ if name in fields}
        if "kind" not in given and given.get("state"):
            given["kind"] = FITTING.get(given["state"], Kind.RETRY)
        if given.get("since") in SINCE:
            given["since"] = f"now-{given['since']}"
        return cls(**given)

    def to_draft(self, *, with_reason: bool = True) -> tuple[BulkDraft | None, Errors]:
        """The checked draft, or ``None`` and what is wrong by field."""
        faults: list[Fault] = []
        document: dict[str, Any] = {"kind": self.kind, "reason": self.reason, "selection": self._selection(faults)}
        document |= {"pace": _number(self.pace, "pace", faults), "abort_rate": self._rate(faults)}
        draft = None
        try:
            draft = parse_bulk(document, get_runtime().clock(), with_reason=with_reason)
        except Refused as refused:
            faults += refused.faults or (Fault("", refused.slug, refused.detail),)
        return (None, _by_field(faults)) if faults else (draft, {})

    def _selection(self, faults: list[Fault]) -> dict[str, Any]:
        texts = {name: getattr(self, name).strip() for name in ("error", "since", "until")}
        found: dict[str, Any] = {name: text for name, text in texts.items() if text}
        if self.state and self.kind != Kind.REPLAY:
            found["state"] = [self.state]
        if self.kind == Kind.REPLAY:
            found.pop("error", None)
        if self.subscription:
            found["subscription"] = [self.subscription]
        if self.event.strip():
            try:
                found["event"] = parse_json(self.event.encode("utf-8", "surrogatepass"))
            except Refused as refused:
                faults.append(Fault("/selection/event", refused.slug, refused.detail))
        return found

    def _rate(self, faults: list[Fault]) -> float | None:
        percent = _number(self.abort_rate, "abort_rate", faults)
        return None if percent is None else percent / 100


def _number(text: str, name: str, faults: list[Fault]) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        faults.append(Fault(f"/{name}", "invalid-value", "Write a number."))
        return None


def _by_field(faults: list[Fault]) -> Errors:
    errors: Errors = {}
    for fault in faults:
        parts = fault.pointer.split("/")[1:]
        name = parts[1] if parts[:1] == ["selection"] and len(parts) > 1 else parts[0] if parts else ""
        known = name if name in BulkForm.__dataclass_fields__ else ""
        message = fault.message.replace("from 0 to 1.", "from 0 to 100.") if name == "abort_rate" else fault.message
        errors.setdefault(known, []).append(message)
    return errors


@bp.get("")
@require("read")
def index() -> Response:
    """The list, newest first; the part is the table."""
    before = request.args.get("before", "")[:64]
    with get_runtime().db.read() as conn:
        found = bulk_operations.newest(conn, before)
    return render.page_or_part(
        "bulk/index.html",
        "bulk/_table.html",
        found=found,
        kinds=KINDS,
        here=url_with(request.path, before=before),
        older=url_with(request.path, before=found.next) if found.next else None,
        newest_url=request.path if before else None,
    )


@bp.get("/new")
@require("operate")
def new() -> Response:
    """The form, filled in from the address, and its dry run."""
    return _form(BulkForm.from_fields(request.args))


@bp.get("/preview")
@require("operate")
def preview() -> Response:
    """The dry run of the form as it stands."""
    form = BulkForm.from_fields(request.args)
    return render.part("bulk/_preview.html", oob=True, **_looked(form))


@bp.post("/-/check")
@require("operate")
def check() -> Response:
    """What is wrong so far with the fields that were touched."""
    return checked(BulkForm.from_fields(request.form).to_draft()[1])


@bp.post("")
@require("operate")
def create() -> Response:
    """Begin, or show what is wrong."""
    form = BulkForm.from_fields(request.form)
    draft, errors = form.to_draft()
    if draft is None:
        return _form(form, errors, status=422)
    try:
        made = service.start(get_runtime(), current_actor(), draft)
    except Refused as refused:
        return _form(form, _by_field(list(refused.faults)), status=422)
    there = url_for("bulk.show", operation_id=made)
    return done("It has begun", back=there, go=there)


@bp.get("/<operation_id>")
@require("read")
def show(operation_id: str) -> Response:
    """One operation; the part is all that moves."""
    with get_runtime().db.read() as conn:
        row = bulk_operations.get(conn, operation_id)
        errors = bulk_operations.errors_of(conn, operation_id, limit=ERRORS_SHOWN)
        names = dict(list_names(conn))
    event = row.selection.get("event")
    return render.page_or_part(
        "bulk/show.html",
        "bulk/_body.html",
        row=row,
        errors=errors,
        names=names,
        kinds=KINDS,
        has_ended=row.state in ENDED,
        condition="" if event is None else json.dumps(event, ensure_ascii=False),
    )


@bp.post("/<operation_id>/<any(pause, resume, abort):verb>")
@require("operate")
def step(operation_id: str, verb: str) -> Response:
    """The buttons."""
    service.step(get_runtime(), current_actor(), operation_id, verb)
    return done(STEP_WORDS[verb], back=url_for("bulk.show", operation_id=operation_id))


@bp.get("/<operation_id>/<any(pause, resume, abort):verb>")
@require("read")
def look_first(operation_id: str, verb: str) -> AnyResponse:
    """The address of a button that was reloaded leads back to its operation."""
    return redirect(url_for("bulk.show", operation_id=operation_id), 303)


def _form(form: BulkForm, errors: Errors | None = None, status: int = 200) -> Response:
    with get_runtime().db.read() as conn:
        names = list_names(conn)
    return render.part(
        "bulk/new.html",
        status=status,
        errors=errors or {},
        names=names,
        kind_choices=[(kind, label) for kind, (label, _) in KINDS.items()],
        state_choices=STATE_CHOICES,
        **_looked(form),
    )


def _looked(form: BulkForm) -> dict[str, Any]:
    draft, faults = form.to_draft(with_reason=False)
    found: Preview | None = None
    if draft is not None:
        found = service.preview(get_runtime(), current_actor(), draft)
    kind = Kind(form.kind) if form.kind in tuple(Kind) else Kind.RETRY
    label, about = KINDS[kind]
    return {
        "form": form,
        "found": found,
        "faults": faults,
        "label": label,
        "about": about,
        "is_replay": kind == Kind.REPLAY,
    }
