"""Pages of cron schedules: the list, one with its next ticks, the form with a preview, and its buttons."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp.domain.errors import Conflict, Fault, NotFound, Refused
from webapp.domain.jsontext import parse_json
from webapp.domain.schedules import CATCH_UP, SOURCE, ScheduleDraft, next_ticks, parse_schedule
from webapp.services import schedules as service
from webapp.store import feed_subscriptions as feed
from webapp.store.audit import Target
from webapp.store.schedules import get_schedule, list_schedules
from webapp.web import render
from webapp.web.answers import done, url_with
from webapp.web.auth import current_actor, require
from webapp.web.checks import checked
from webapp.web.conflicts import GONE, Clash, clash_of, opened_for, resolved, revision_of
from webapp.web.context import get_acceptor, get_runtime
from webapp.web.pages.submit_form import parse_labels
from webapp.web.pages.subscription_form import Errors, by_field, faults_of

bp = Blueprint("schedules", __name__, url_prefix="/schedules")

PER_PAGE = 50
TICKS = 5
FIELD_CHARS = 20_000
LABELS = {
    "name": "Name", "cron": "Cron", "time_zone": "Time zone", "catch_up": "Ticks that were missed", "type": "Type",
    "source": "Source", "payload": "Payload", "labels": "Labels",
}  # fmt: skip
FIELDS = {f"/{name}": name for name in LABELS}


@dataclass(frozen=True, slots=True)
class ScheduleForm:
    """The fields as a person typed them."""

    name: str = ""
    cron: str = ""
    time_zone: str = "UTC"
    type: str = ""
    source: str = SOURCE
    payload: str = "{}"
    labels: str = ""
    catch_up: str = "latest"
    revision: str = ""

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> ScheduleForm:
        """What a browser sent; a field that is absent is empty."""
        return cls(**{name: fields.get(name, "")[:FIELD_CHARS] for name in cls.__dataclass_fields__})

    @classmethod
    def from_row(cls, row: Any) -> ScheduleForm:
        """A stored schedule, to be edited."""
        labels = "\n".join(f"{key}={value}" for key, value in row.labels.items())
        payload = json.dumps(json.loads(row.payload), indent=2, ensure_ascii=False)
        texts = {name: getattr(row, name) for name in ("name", "cron", "time_zone", "type", "source", "catch_up")}
        return cls(**texts, payload=payload, labels=labels, revision=str(row.revision))

    def texts(self) -> dict[str, str]:
        """By field, to be compared with what somebody else typed."""
        return {name: getattr(self, name) for name in LABELS}

    def taking(self, texts: Mapping[str, str]) -> ScheduleForm:
        """With these texts of another."""
        return replace(self, **{name: text for name, text in texts.items() if name in LABELS})

    def to_draft(self) -> tuple[ScheduleDraft | None, Errors]:
        """The checked schedule, or ``None`` and what is wrong by field."""
        faults: list[Fault] = []
        document: dict[str, Any] = {
            "name": self.name,
            "cron": self.cron,
            "time_zone": self.time_zone.strip(),
            "type": self.type.strip(),
            "source": self.source.strip() or None,
            "catch_up": self.catch_up,
        }
        for name, read in (("payload", _read_payload), ("labels", parse_labels)):
            try:
                document[name] = read(getattr(self, name))
            except Refused as refused:
                faults += [Fault(f"/{name}", fault.code, fault.message) for fault in faults_of(refused)]
        try:
            draft = parse_schedule(document, get_runtime().clock())
        except Refused as refused:
            return None, by_field([*faults, *faults_of(refused)], FIELDS)
        return (None, by_field(faults, FIELDS)) if faults else (draft, {})


@bp.get("")
@require("read")
def index() -> Response:
    """The list, by name; the part is the table."""
    after = request.args.get("after", "")[:400]
    with get_runtime().db.read() as conn:
        rows, following = list_schedules(conn, after, PER_PAGE)
    return render.page_or_part(
        "schedules/index.html",
        "schedules/_table.html",
        rows=rows,
        here=url_with(request.path, after=after),
        following=url_with(request.path, after=following) if following else None,
        first=request.path if after else None,
    )


@bp.get("/new")
@require("design")
def new() -> Response:
    """An empty form."""
    return _form(ScheduleForm())


@bp.post("")
@require("design")
def create() -> Response:
    """Store it, or show what is wrong."""
    form = ScheduleForm.from_fields(request.form)
    draft, errors = form.to_draft()
    if draft is None:
        return _form(form, errors=errors, status=422)
    made = service.create(get_runtime(), current_actor(), draft)
    return done(f"Schedule {draft.name} is created", back=_page(made), go=_page(made))


@bp.post("/-/check")
@require("design")
def check() -> Response:
    """What is wrong so far with the fields that were touched."""
    return checked(ScheduleForm.from_fields(request.form).to_draft()[1])


@bp.get("/ticks")
@require("read")
def ticks() -> Response:
    """The part under the form: when it would tick."""
    form = ScheduleForm.from_fields(request.args)
    return render.part("schedules/_ticks.html", **_preview(form))


@bp.get("/<schedule_id>")
@require("read")
def show(schedule_id: str) -> Response:
    """One schedule."""
    row = _find(schedule_id)
    ahead = [] if row.paused_at is not None else next_ticks(row.cron, row.time_zone, get_runtime().clock(), TICKS)
    return render.page_or_part(
        "schedules/show.html", "schedules/_body.html", schedule=row, ahead=ahead, zone=row.time_zone
    )


@bp.get("/<schedule_id>/edit")
@require("design")
def edit(schedule_id: str) -> Response:
    """The form, filled in."""
    row = _find(schedule_id)
    return _form(ScheduleForm.from_row(row), row=row)


@bp.post("/<schedule_id>")
@require("design")
def save(schedule_id: str) -> Response:
    """Change it, unless somebody was faster: then show what differs."""
    form = resolved(ScheduleForm.from_fields(request.form), request.form)
    try:
        row = _find(schedule_id)
    except NotFound:
        if not form.revision:
            raise
        return _form(form, errors={"": [GONE]}, status=409)
    draft, errors = form.to_draft()
    if draft is None:
        return _form(form, row=row, errors=errors, status=422)
    try:
        service.update(get_runtime(), current_actor(), schedule_id, draft, revision_of(form.revision))
    except Conflict:
        return _clashed(form, schedule_id)
    return done(f"Schedule {draft.name} is saved", back=_page(schedule_id), go=_page(schedule_id))


def _clashed(form: ScheduleForm, schedule_id: str) -> Response:
    row, target = _find(schedule_id), Target("schedule", schedule_id)
    with get_runtime().db.read() as conn:
        clash = clash_of(conn, form, ScheduleForm.from_row(row), request.form, target=target, labels=LABELS)
    return _form(form, row=row, clash=clash, status=409)


@bp.post("/<schedule_id>/pause")
@require("operate")
def pause(schedule_id: str) -> Response:
    """No ticks until it is resumed."""
    service.pause(get_runtime(), current_actor(), schedule_id)
    return done("Paused; it does not tick until it is resumed", back=_page(schedule_id), go=_page(schedule_id))


@bp.post("/<schedule_id>/resume")
@require("operate")
def resume(schedule_id: str) -> Response:
    """Tick again."""
    service.resume(get_runtime(), current_actor(), schedule_id)
    return done("Resumed", back=_page(schedule_id), go=_page(schedule_id))


@bp.post("/<schedule_id>/run")
@require("operate")
def run(schedule_id: str) -> Response:
    """Publish its event now, and go there."""
    uid = service.run_now(get_runtime(), get_acceptor(), current_actor(), schedule_id)
    there = url_for("events.show", uid=uid)
    return done("Published", back=there, go=there)


@bp.post("/<schedule_id>/delete")
@require("design")
def delete(schedule_id: str) -> Response:
    """No more ticks."""
    service.delete(get_runtime(), current_actor(), schedule_id)
    return done("Deleted; the events that it published stay", back="/schedules", go="/schedules")


@bp.get("/<schedule_id>/pause")
@bp.get("/<schedule_id>/resume")
@bp.get("/<schedule_id>/run")
@bp.get("/<schedule_id>/delete")
@require("read")
def look_first(schedule_id: str) -> AnyResponse:
    """The address of a button that was reloaded leads back to its schedule."""
    return redirect(_page(schedule_id), 303)


def _form(
    form: ScheduleForm,
    *,
    row: Any = None,
    errors: Errors | None = None,
    clash: Clash | None = None,
    status: int = 200,
) -> Response:
    with get_runtime().db.read() as conn:
        types = feed.known_types(conn)
        stored = None if row is None else ScheduleForm.from_row(row)
        opened = opened_for(conn, stored, Target("schedule", row.id if row else ""), is_refused=bool(errors))
    return render.part(
        "schedules/form.html",
        status=status,
        form=form,
        row=row,
        errors=errors or {},
        clash=clash,
        opened=opened,
        types=types,
        catch_up=[(key, words) for key, words in zip(CATCH_UP, _CATCH_UP_WORDS, strict=True)],
        **_preview(form),
    )


_CATCH_UP_WORDS = ("leave them out", "publish the latest", "publish all, 100 at most")


def _preview(form: ScheduleForm) -> dict[str, Any]:
    draft, errors = ScheduleForm(
        name="preview", cron=form.cron, time_zone=form.time_zone, type="preview"
    ).to_draft()  # only these two matter for when it ticks
    if draft is None:
        return {"ahead": [], "zone": "", "why_not": next(iter(errors.values()))[0] if form.cron.strip() else ""}
    ahead = next_ticks(draft.cron, draft.time_zone, get_runtime().clock(), TICKS)
    return {"ahead": ahead, "zone": draft.time_zone, "why_not": ""}


def _find(schedule_id: str) -> Any:
    with get_runtime().db.read() as conn:
        return get_schedule(conn, schedule_id)


def _page(schedule_id: str) -> str:
    return url_for("schedules.show", schedule_id=schedule_id)


def _read_payload(text: str) -> Any:
    return parse_json(text.encode("utf-8", "surrogatepass")) if text.strip() else None
