"""Pages of the catalog of event types: the list, one type with its versions, and its buttons. ``event_type_edit`` has the forms."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp.domain.event_types import VALIDATION
from webapp.services import catalog_exchange
from webapp.services import event_types as service
from webapp.store import event_types as store
from webapp.store import feed_event_types as feed
from webapp.store.samples import list_samples
from webapp.web import render
from webapp.web.answers import done, list_or_part, url_with
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.words import condition_in_words

bp = Blueprint("event_types", __name__, url_prefix="/event-types")

SAMPLES_SHOWN = 8
STATES = ("declared", "discovered", "deprecated")


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a comparison: ``sign`` is +, - or a space."""

    sign: str
    text: str


@bp.get("")
@require("read")
def index() -> Response:
    """The list, by name; the part is the table."""
    rt, after = get_runtime(), request.args.get("after", "")[:200]
    words, state = request.args.get("q", "").strip()[:200], request.args.get("state", "")
    state = state if state in STATES else ""
    with rt.db.read() as conn:
        rows, following = store.list_types(conn, words=words, state=state, after=after)
        names = [row.name for row in rows]
        latest, lately = store.latest_numbers(conn, names), feed.read_lately(conn, names, rt.clock())
    here = {"q": words, "state": state}
    return list_or_part(
        "event_types/index.html",
        "event_types/_table.html",
        here=url_with(request.path, **here, after=after),
        rows=rows,
        latest=latest,
        lately=lately,
        words=words,
        state=state,
        following=url_with(request.path, **here, after=following) if following else None,
        first=url_with(request.path, **here) if after else None,
    )


@bp.get("/-/asyncapi.json")
@require("read")
def export() -> Response:
    """The catalog to take away."""
    document = orjson.dumps(catalog_exchange.export(get_runtime()), option=orjson.OPT_INDENT_2)
    headers = {"Content-Disposition": "attachment; filename=asyncapi.json"}
    return Response(document, content_type="application/json", headers=headers)


@bp.get("/<name>")
@require("read")
def show(name: str) -> Response:
    """One type; ``?version=`` shows another version, ``?against=`` compares with one."""
    rt = get_runtime()
    with rt.db.read() as conn:
        row, versions = store.get_type(conn, name), store.list_versions(conn, name)
        context = {
            "producers": feed.producers_of(conn, name),
            "consumers": feed.consumers_of(conn, name),
            "problems": feed.problems_of(conn, name),
            "lately": feed.read_lately(conn, [name], rt.clock())[name],
            "samples": list_samples(conn, type=name, limit=SAMPLES_SHOWN)[0],
        }
    shown = _chosen(versions, "version") or (versions[0] if versions else None)
    against = _chosen(versions, "against")
    return render.page_or_part(
        "event_types/show.html",
        "event_types/_body.html",
        type=row,
        versions=versions,
        shown=shown,
        against=against,
        lines=_diff(against.schema, shown.schema) if against is not None and shown is not None else (),
        inferred=None if row.inferred is None else json.dumps(row.inferred, ensure_ascii=False),
        examples=[json.dumps(one, ensure_ascii=False) for one in (shown.examples if shown else ())],
        in_words=condition_in_words,
        validations=VALIDATION,
        **context,
    )


@bp.post("/<name>/accept")
@require("design")
def accept(name: str) -> Response:
    """Declare a discovered type, with the schema that was worked out."""
    validation = request.form.get("validation", "off")
    validation = validation if validation in VALIDATION else "off"
    service.accept(get_runtime(), current_actor(), name, validation, revision_sent())
    return done(f"{name} is declared", back=page_of(name), go=page_of(name))


@bp.post("/<name>/delete")
@require("design")
def delete(name: str) -> Response:
    """Out of the catalog."""
    service.delete(get_runtime(), current_actor(), name, revision_sent())
    return done(f"{name} is out of the catalog; its events stay", back="/event-types", go="/event-types")


@bp.get("/<name>/accept")
@bp.get("/<name>/delete")
@require("read")
def look_first(name: str) -> AnyResponse:
    """The address of a button that was reloaded leads back to its type."""
    return redirect(page_of(name), 303)


def page_of(name: str) -> str:
    """The address of a type."""
    return url_for("event_types.show", name=name)


def revision_sent() -> int:
    """The revision that the form was drawn with; one that is none fits nothing."""
    text = request.form.get("revision", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1


def _chosen(versions: Sequence[Any], argument: str) -> Any:
    asked = request.args.get(argument, "")
    return next((one for one in versions if str(one.version) == asked), None)


def _diff(old: str, new: str) -> list[DiffLine]:
    """Both schemas line by line, unchanged lines around the changes only."""
    before, after = (json.dumps(json.loads(text), indent=2, ensure_ascii=False).splitlines() for text in (old, new))
    lines = list(difflib.unified_diff(before, after, lineterm="", n=3))[2:]
    return [DiffLine("…", "") if line.startswith("@@") else DiffLine(line[:1], line[1:]) for line in lines]
