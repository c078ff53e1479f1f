"""Forms of the catalog: what is said of a type, a new version of it, and the import with its preview."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, Response, request

from webapp.domain.catalog_import import read_catalog, read_document
from webapp.domain.errors import Conflict, Fault, NotFound, Refused
from webapp.domain.event_types import VALIDATION, VersionDraft, parse_type, parse_version, read_type_name
from webapp.domain.jsontext import parse_json
from webapp.domain.schema_compat import MODES
from webapp.services import catalog_exchange
from webapp.services import event_types as service
from webapp.store import event_types as store
from webapp.store.audit import Target
from webapp.web import render
from webapp.web.answers import done
from webapp.web.auth import current_actor, require
from webapp.web.checks import checked
from webapp.web.conflicts import GONE, Clash, clash_of, opened_for, resolved, revision_of
from webapp.web.context import get_runtime
from webapp.web.pages.event_types import page_of, revision_sent
from webapp.web.pages.subscription_form import Errors, by_field, faults_of

bp = Blueprint("event_type_edit", __name__, url_prefix="/event-types")

FIELD_CHARS = 100_000
TYPE_FIELDS = {
    f"/{name}": name for name in ("name", "owner", "description", "validation", "compatibility", "deprecation")
}
TYPE_LABELS = {
    "owner": "Owner", "description": "Description", "validation": "Events that do not fit",
    "compatibility": "What a new version promises", "deprecated": "Deprecated", "deprecation": "Use instead",
}  # fmt: skip
VERSION_FIELDS = ("schema", "examples", "note")
VERSION_LABELS = {"schema": "Schema", "examples": "Examples"}
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

    def texts(self) -> dict[str, str]:
        """By field, to be compared with what somebody else typed."""
        return {name: getattr(self, name) for name in TYPE_LABELS}

    def taking(self, texts: Mapping[str, str]) -> TypeForm:
        """With these texts of another."""
        return replace(self, **{name: text for name, text in texts.items() if name in TYPE_LABELS})

    def document(self) -> dict[str, Any]:
        """As the API would be sent it."""
        names = ("owner", "description", "validation", "compatibility")
        texts = {name: getattr(self, name) for name in names}
        return {
            **texts,
            "deprecated": bool(self.deprecated),
            "deprecation": self.deprecation if self.deprecated else "",
        }


@dataclass(frozen=True, slots=True)
class VersionForm:
    """The fields of a new version as a person typed them."""

    schema: str = EMPTY_SCHEMA
    examples: str = ""
    note: str = ""
    revision: str = ""

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> VersionForm:
        """What a browser sent; a field that is absent is empty."""
        return cls(**{name: fields.get(name, "")[:FIELD_CHARS] for name in cls.__dataclass_fields__})

    @classmethod
    def from_rows(cls, row: Any, latest: Any) -> VersionForm:
        """To begin with: the latest version, or what was worked out, or next to nothing."""
        schema = EMPTY_SCHEMA if row.inferred is None else _pretty(row.inferred)
        if latest is None:
            return cls(schema, revision=str(row.revision))
        examples = _pretty(latest.examples) if latest.examples else ""
        return cls(_pretty(json.loads(latest.schema)), examples, revision=str(row.revision))

    def texts(self) -> dict[str, str]:
        """By field, to be compared with what somebody else typed."""
        return {"schema": self.schema, "examples": self.examples}

    def taking(self, texts: Mapping[str, str]) -> VersionForm:
        """With these texts of another."""
        return replace(self, **{name: text for name, text in texts.items() if name in VERSION_LABELS})

    def to_draft(self) -> VersionDraft:
        """The checked version. Raises ``Refused``."""
        document: dict[str, Any] = {"note": self.note}
        for key, text in self.texts().items():
            if text.strip():
                document[key] = _read(key, text)
        return parse_version(document)


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
    """Change it, unless somebody was faster: then show what differs."""
    form = resolved(TypeForm.from_fields(request.form), request.form)
    try:
        row = _find(name)
    except NotFound:
        if not form.revision:
            raise
        return _type_form(replace(form, name=name), errors={"": [GONE]}, status=409)
    try:
        service.put(get_runtime(), current_actor(), name, parse_type(form.document()), revision_sent())
    except Refused as refused:
        return _type_form(form, row=row, errors=by_field(faults_of(refused), TYPE_FIELDS), status=422)
    except Conflict:
        return _clashed(form, name)
    return done(f"{name} is saved", back=page_of(name), go=page_of(name))


@bp.post("/-/check")
@require("design")
def check() -> Response:
    """What is wrong so far with the fields that were touched; a new type has a name as well."""
    form = TypeForm.from_fields(request.form)
    errors = _faults_of(lambda: parse_type(form.document()))
    if not form.revision:
        errors |= _faults_of(lambda: read_type_name(form.name.strip()))
    return checked(errors)


def _faults_of(read: Callable[[], Any]) -> Errors:
    try:
        read()
    except Refused as refused:
        return by_field(faults_of(refused), TYPE_FIELDS)
    return {}


def _clashed(form: TypeForm, name: str) -> Response:
    row = _find(name)
    with get_runtime().db.read() as conn:
        target = Target("event_type", name)
        clash = clash_of(conn, form, TypeForm.from_row(row), request.form, target=target, labels=TYPE_LABELS)
    return _type_form(form, row=row, clash=clash, status=409)


@bp.get("/<name>/versions")
@require("design")
def new_version(name: str) -> Response:
    """The form for the next version; it holds the latest schema."""
    row = _find(name)
    return _version_form(row, _latest(row))


@bp.post("/<name>/versions")
@require("design")
def add_version(name: str) -> Response:
    """Add it, or show what is wrong: with the schema, with an example, with the promise of the type."""
    row, form = _find(name), resolved(VersionForm.from_fields(request.form), request.form)
    try:
        draft = form.to_draft()
        number = service.add_version(get_runtime(), current_actor(), name, draft, revision_of(form.revision))
    except Refused as refused:
        return _version_form(row, form, _by_place(refused), status=422)
    except Conflict as conflict:
        if row.state != "declared":
            return _version_form(row, form, {"": [conflict.detail]}, status=409)
        return _version_clashed(form, name)
    return done(f"Version {number} of {name} is added", back=page_of(name), go=page_of(name))


@bp.post("/<name>/versions/check")
@require("design")
def check_version(name: str) -> Response:
    """What is wrong so far: with the schema, with an example, and with the promise of the type."""
    rt, form, row = get_runtime(), VersionForm.from_fields(request.form), _find(name)
    try:
        draft = form.to_draft()
        with rt.db.read() as conn:
            latest = store.latest_version(conn, name)
        if latest is not None:
            service.check_compatible(row, latest, draft)
    except Refused as refused:
        return checked(_by_place(refused))
    return checked({})


def _version_clashed(form: VersionForm, name: str) -> Response:
    row = _find(name)
    with get_runtime().db.read() as conn:
        target = Target("event_type", name)
        clash = clash_of(conn, form, _latest(row), request.form, target=target, labels=VERSION_LABELS)
    return _version_form(row, form, clash=clash, status=409)


def _latest(row: Any) -> VersionForm:
    with get_runtime().db.read() as conn:
        latest = store.latest_version(conn, row.name)
    return VersionForm.from_rows(row, latest)


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


def _type_form(
    form: TypeForm,
    *,
    row: Any = None,
    errors: Errors | None = None,
    clash: Clash | None = None,
    status: int = 200,
) -> Response:
    with get_runtime().db.read() as conn:
        stored = None if row is None else TypeForm.from_row(row)
        target = Target("event_type", row.name if row else "")
        opened = opened_for(conn, stored, target, is_refused=bool(errors))
    return render.part(
        "event_types/form.html",
        status=status,
        form=form,
        row=row,
        errors=errors or {},
        clash=clash,
        opened=opened,
        validations=list(zip(VALIDATION, _VALIDATION_WORDS, strict=True)),
        modes=list(zip(MODES, _MODE_WORDS, strict=True)),
    )


def _version_form(
    row: Any, form: VersionForm, errors: Errors | None = None, *, clash: Clash | None = None, status: int = 200
) -> Response:
    latest = _latest(row)
    with get_runtime().db.read() as conn:
        opened = opened_for(conn, latest, Target("event_type", row.name), is_refused=bool(errors))
    return render.part(
        "event_types/version.html", status=status, type=row, form=form, errors=errors or {}, clash=clash, opened=opened
    )


_VALIDATION_WORDS = ("Not judged", "Kept and routed, with a warning", "Rejected: kept, but routed nowhere")
_MODE_WORDS = (
    "No promise",
    "Backward: what fitted the last version fits the next",
    "Forward: who knows the last version understands the next",
    "Full: both",
)
