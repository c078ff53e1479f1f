"""Forms of the catalog: what is said of a type, a new version of it, and the import with its preview."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request

from webapp.domain.catalog_import import read_catalog, read_document
from webapp.domain.errors import Conflict, Fault, Refused
from webapp.domain.event_types import VALIDATION, parse_type, parse_version, read_type_name
from webapp.domain.jsontext import parse_json
from webapp.domain.schema_compat import MODES
from webapp.services import catalog_exchange
from webapp.services import event_types as service
from webapp.store import event_types as store
from webapp.web import render
from webapp.web.answers import done
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.pages.event_types import page_of, revision_sent
from webapp.web.pages.subscription_form import Errors, by_field, faults_of

bp = Blueprint("event_type_edit", __name__, url_prefix="/event-types")

FIELD_CHARS = 100_000
TYPE_FIELDS = {
    f"/{name}": name for name in ("name", "owner", "description", "validation", "compatibility", "deprecation")
}
VERSION_FIELDS = ("schema", "examples", "note")
EMPTY_SCHEMA = '{\n  "type": "object",\n  "required": [],\n  "properties": {}\n}'


@dataclass(frozen=True, slots=True)
class TypeForm:
    """The fields as a person typed them."""

    name: str = ""
    owner: str = ""
    description: str = ""
    validation: str = "off"
    compatibility: str = "none"
    deprecated: str = ""
    deprecation: str = ""
    revision: str = ""

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> TypeForm:
        """What a browser sent; a field that is absent is empty."""
        return cls(**{name: fields.get(name, "")[:FIELD_CHARS] for name in cls.__dataclass_fields__})

    @classmethod
    def from_row(cls, row: Any) -> TypeForm:
        """A stored type, to be edited."""
        texts = {name: getattr(row, name) for name in ("name", "owner", "description", "validation", "compatibility")}
        deprecated = "on" if row.deprecated_at is not None else ""
        return cls(**texts, deprecated=deprecated, deprecation=row.deprecation or "", revision=str(row.revision))

    def document(self) -> dict[str, Any]:
        """As the API would be sent it."""
        names = ("owner", "description", "validation", "compatibility")
        texts = {name: getattr(self, name) for name in names}
        return {
            **texts,
            "deprecated": bool(self.deprecated),
            "deprecation": self.deprecation if self.deprecated else "",
        }


@bp.get("/-/new")
@require("design")
def new() -> Response:
    """An empty form."""
    return _type_form(TypeForm(name=request.args.get("name", "")[:128]))


@bp.post("/-/new")
@require("design")
def create() -> Response:
    """Declare it, or show what is wrong."""
    form, rt = TypeForm.from_fields(request.form), get_runtime()
    try:
        name = read_type_name(form.name.strip())
        with rt.db.read() as conn:
            row = store.find_type(conn, name)
        if row is not None and row.deleted_at is None and row.state == "declared":
            raise Refused("invalid-catalog-entry", "", faults=[Fault("/name", "taken", "The catalog has this type.")])
        service.put(rt, current_actor(), name, parse_type(form.document()))
    except Refused as refused:
        return _type_form(form, errors=by_field(faults_of(refused), TYPE_FIELDS), status=422)
    return done(f"{name} is declared", back=page_of(name), go=page_of(name))


@bp.get("/<name>/edit")
@require("design")
def edit(name: str) -> Response:
    """The form, filled in."""
    row = _find(name)
    return _type_form(TypeForm.from_row(row), row=row)


@bp.post("/<name>/edit")
@require("design")
def save(name: str) -> Response:
    """Change it unless somebody was faster."""
    form, row = TypeForm.from_fields(request.form), _find(name)
    try:
        service.put(get_runtime(), current_actor(), name, parse_type(form.document()), revision_sent())
    except Refused as refused:
        return _type_form(form, row=row, errors=by_field(faults_of(refused), TYPE_FIELDS), status=422)
    except Conflict as conflict:
        return _type_form(form, row=row, errors={"": [conflict.detail]}, status=409)
    return done(f"{name} is saved", back=page_of(name), go=page_of(name))


@bp.get("/<name>/versions")
@require("design")
def new_version(name: str) -> Response:
    """The form for the next version; it holds the latest schema."""
    row = _find(name)
    with get_runtime().db.read() as conn:
        latest = store.latest_version(conn, name)
    schema = EMPTY_SCHEMA if row.inferred is None else _pretty(row.inferred)
    fields = {"schema": schema if latest is None else _pretty(json.loads(latest.schema))}
    fields["examples"] = _pretty(latest.examples) if latest is not None and latest.examples else ""
    return _version_form(row, fields | {"note": "", "revision": str(row.revision)})


@bp.post("/<name>/versions")
@require("design")
def add_version(name: str) -> Response:
    """Add it, or show what is wrong: with the schema, with an example, with the promise of the type."""
    row = _find(name)
    fields = {key: request.form.get(key, "")[:FIELD_CHARS] for key in ("schema", "examples", "note", "revision")}
    document: dict[str, Any] = {"note": fields["note"]}
    try:
        for key in ("schema", "examples"):
            if fields[key].strip():
                document[key] = _read(key, fields[key])
        number = service.add_version(get_runtime(), current_actor(), name, parse_version(document), revision_sent())
    except Refused as refused:
        return _version_form(row, fields, _by_place(refused), 422)
    except Conflict as conflict:
        return _version_form(row, fields, {"": [conflict.detail]}, 409)
    return done(f"Version {number} of {name} is added", back=page_of(name), go=page_of(name))


@bp.get("/-/import")
@require("design")
def import_form() -> Response:
    """An empty form."""
    return render.part("event_types/import.html", fields={"document": "", "type": ""}, errors={}, steps=None)


@bp.post("/-/import")
@require("design")
def import_types() -> Response:
    """Show what would be done; do it when the form says so."""
    fields = {key: request.form.get(key, "")[: 1024 * 1024] for key in ("document", "type")}
    rt, errors, steps, status = get_runtime(), {}, None, 200
    try:
        name = read_type_name(fields["type"].strip()) if fields["type"].strip() else ""
        wanted = read_catalog(read_document(fields["document"].encode()), name)
        if request.form.get("do") == "import":
            steps = catalog_exchange.apply(rt, current_actor(), wanted)
            count = sum(step.action != "same" for step in steps)
            message = f"Imported: {count} {'event type' if count == 1 else 'event types'} changed"
            return done(message, back="/event-types", go="/event-types")
        steps = catalog_exchange.preview(rt, wanted)
    except Refused as refused:
        told = [f"{one.pointer}: {one.message}" if one.pointer else one.message for one in faults_of(refused)]
        errors, status = {"document": told}, 422
    return render.part("event_types/import.html", status=status, fields=fields, errors=errors, steps=steps)


def _by_place(refused: Refused) -> Errors:
    """Messages by field, each with its place inside of the schema or the examples."""
    errors: Errors = {}
    for fault in faults_of(refused):
        _, name, *inside = fault.pointer.split("/", 2) if fault.pointer else ("", "")
        name = name if name in VERSION_FIELDS else ""
        message = f"At /{inside[0]}: {fault.message}" if name and inside else fault.message
        errors.setdefault(name, []).append(message)
    return errors


def _read(key: str, text: str) -> Any:
    try:
        return parse_json(text.encode("utf-8", "surrogatepass"))
    except Refused as refused:
        faults = [Fault(f"/{key}{one.pointer}", one.code, one.message) for one in faults_of(refused)]
        raise Refused(refused.slug, refused.detail, faults=faults) from None


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _find(name: str) -> Any:
    with get_runtime().db.read() as conn:
        return store.get_type(conn, name)


def _type_form(form: TypeForm, *, row: Any = None, errors: Errors | None = None, status: int = 200) -> Response:
    return render.part(
        "event_types/form.html",
        status=status,
        form=form,
        row=row,
        errors=errors or {},
        validations=list(zip(VALIDATION, _VALIDATION_WORDS, strict=True)),
        modes=list(zip(MODES, _MODE_WORDS, strict=True)),
    )


def _version_form(row: Any, fields: Mapping[str, str], errors: Errors | None = None, status: int = 200) -> Response:
    return render.part("event_types/version.html", status=status, type=row, fields=fields, errors=errors or {})


_VALIDATION_WORDS = ("Not judged", "Kept and routed, with a warning", "Rejected: kept, but routed nowhere")
_MODE_WORDS = (
    "No promise",
    "Backward: what fitted the last version fits the next",
    "Forward: who knows the last version understands the next",
    "Full: both",
)
