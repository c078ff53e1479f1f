"""Samples: the list with its buttons, and keeping an event as one, from the form or from the page of an event."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from webapp.domain.errors import Refused
from webapp.domain.jsontext import parse_json
from webapp.domain.samples import parse_sample
from webapp.services import samples as service
from webapp.store import samples as store
from webapp.web import render
from webapp.web.answers import done, list_or_part, url_with
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.pages.events import find_event
from webapp.web.pages.payload_form import PayloadForm
from webapp.web.pages.submit import part_of_samples
from webapp.web.pages.submit_form import Form
from webapp.web.requests import read_form

bp = Blueprint("samples", __name__, url_prefix="/samples")

OPTIONS = 100


@bp.get("")
@require("read")
def index() -> Response:
    """The list, by name; the part is the table."""
    given = {name: request.args.get(name, "").strip()[:200] for name in ("type", "q", "after")}
    after = request.args.get("after", "")[:200]
    with get_runtime().db.read() as conn:
        rows, following = store.list_samples(conn, type=given["type"], words=given["q"], after=after)
    here = {"q": given["q"], "type": given["type"]}
    return list_or_part(
        "samples/index.html",
        "samples/_table.html",
        here=url_with(request.path, **here, after=after),
        rows=rows,
        words=given["q"],
        type=given["type"],
        following=url_with(request.path, **here, after=following) if following else None,
        first=url_with(request.path, **here) if after else None,
    )


@bp.get("/-/options")
@require("read")
def options() -> Response:
    """Samples to choose from, where an event is asked for by its id."""
    with get_runtime().db.read() as conn:
        rows, _ = store.list_samples(conn, limit=OPTIONS)
    return render.part("samples/_options.html", rows=rows)


@bp.post("/-/form")
@require("publish")
def save_form() -> Response:
    """Keep what stands in the form that sends events."""
    rt, actor = get_runtime(), current_actor()
    form, name = Form.from_request(once=""), request.form.get("sample_name", "")
    payload = PayloadForm.of_request(request.form, form.type.strip())
    try:
        document, faults = form.document(payload)
        if faults:
            raise Refused("invalid-sample", faults[0].message, faults=faults)
        kept = {key: value for key, value in document.items() if key not in ("id", "deliver_at", "delay")}
        kept = {
            key: value for key, value in kept.items() if key not in ("causation_id", "correlation_id") and value != {}
        }
        kept.setdefault("payload", {})
        service.save(rt, actor, parse_sample({"name": name, "event": kept}, rt.clock()))
    except Refused as refused:
        return part_of_samples(form.type.strip(), error=_told(refused), name=name[:200], status=422)
    return render.toast(part_of_samples(form.type.strip()), f"Saved as the sample {name.strip()}")


@bp.post("/-/event/<uid>")
@require("publish")
def save_event(uid: str) -> Response:
    """Keep an event that came."""
    rt, event = get_runtime(), find_event(uid)
    document: dict[str, Any] = {"type": event.type, "version": event.version, "source": event.source}
    document |= {"subject": event.subject, "labels": dict(event.labels)}
    document["payload"] = parse_json(event.payload.encode(), max_depth=1_000)
    name = read_form("name")["name"] or f"{event.type} of {event.received_at:%Y-%m-%d %H:%M:%S}"
    service.save(rt, current_actor(), parse_sample({"name": name, "event": document}, rt.clock()))
    return done(f"Saved as the sample {name.strip()}", back=f"/events/{event.uid}")


@bp.post("/<sample_id>/rename")
@require("operate")
def rename(sample_id: str) -> Response:
    """Another name."""
    service.rename(get_runtime(), current_actor(), sample_id, read_form("name")["name"])
    return done("Renamed", back="/samples")


@bp.post("/<sample_id>/delete")
@require("operate")
def delete(sample_id: str) -> Response:
    """Out of the list."""
    service.delete(get_runtime(), current_actor(), sample_id)
    return done("The sample is deleted", back="/samples", go="/samples")


def _told(refused: Refused) -> str:
    """One sentence on why it was not kept."""
    first = refused.faults[0] if refused.faults else None
    if first is None:
        return refused.detail
    where = first.pointer.removeprefix("/event").removeprefix("/name")
    return f"{where} {first.message}".strip()
