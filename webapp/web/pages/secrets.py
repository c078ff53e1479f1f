"""Settings, Secrets: names, who uses them, and forms that take a value. No page shows one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask import Blueprint, Response, request, url_for

from webapp.domain.errors import Conflict, NotFound, Refused
from webapp.services import secrets as service
from webapp.services.secrets import SecretInfo
from webapp.store.audit import Target
from webapp.web import render
from webapp.web.answers import done, url_with
from webapp.web.auth import current_actor, require
from webapp.web.checks import checked
from webapp.web.conflicts import OPENED, Clash, clash_of, opened_for, resolved, revision_of
from webapp.web.context import get_runtime
from webapp.web.requests import read_form

bp = Blueprint("secrets", __name__, url_prefix="/settings/secrets")

Errors = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class DescriptionForm:
    """The words about a secret, as a person typed them."""

    description: str = ""
    revision: str = ""

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> DescriptionForm:
        """What a browser sent."""
        return cls(fields.get("description", ""), fields.get("revision", ""))

    @classmethod
    def of(cls, secret: SecretInfo) -> DescriptionForm:
        """What is stored."""
        return cls(secret.description, str(secret.revision))

    def texts(self) -> dict[str, str]:
        """To be compared with what somebody else typed."""
        return {"description": self.description}

    def taking(self, texts: Mapping[str, str]) -> DescriptionForm:
        """With the words of another."""
        return DescriptionForm(texts.get("description", self.description), self.revision)


@bp.get("")
@require("administer")
def index() -> Response:
    """Every secret by name, and the form for one more."""
    return _index()


@bp.post("")
@require("administer")
def create() -> Response:
    """One more, or the form again with what is wrong; never with the value that was sent."""
    sent = read_form("name", "value", "description")
    try:
        service.create(get_runtime(), current_actor(), sent["name"].strip(), _value(sent), sent["description"])
    except (Refused, Conflict) as refusal:
        return _index({"name": sent["name"], "description": sent["description"]}, _errors(refusal, "name"), status=422)
    return done(f"Secret {sent['name'].strip()} is saved", back=_list(), go=_list())


@bp.get("/<name>")
@require("administer")
def show(name: str) -> Response:
    """Who uses it, and the forms that change it."""
    return _show(name)


@bp.post("/-/check")
@require("administer")
def check() -> Response:
    """What is wrong so far with the fields that were touched. The value is not sent before it is saved."""
    sent = read_form("name", "description", "revision")
    try:
        service.check(name=None if sent["revision"] else sent["name"].strip(), description=sent["description"])
    except Refused as refusal:
        return checked(_errors(refusal, "name"))
    return checked({})


@bp.post("/<name>/value")
@require("administer")
def replace(name: str) -> Response:
    """Another value, unless somebody was faster."""
    sent = read_form("value", "revision", OPENED)
    revision = revision_of(sent["revision"]) if sent["revision"] else None
    try:
        service.change(get_runtime(), current_actor(), name, value=_value(sent), revision=revision)
    except Refused as refusal:
        return _value_refused(name, _errors(refusal, "value"))
    except Conflict:
        return _value_clashed(name, sent)
    return done(f"{name} has a new value", back=_list(), go=_list())


@bp.post("/<name>/description")
@require("administer")
def describe(name: str) -> Response:
    """Other words about it, unless somebody was faster."""
    form = resolved(DescriptionForm.from_fields(request.form), request.form)
    revision = revision_of(form.revision) if form.revision else None
    try:
        service.change(get_runtime(), current_actor(), name, description=form.description, revision=revision)
    except Refused as refusal:
        return _show(name, _errors(refusal, "description"), form=form, status=422)
    except Conflict:
        return _show(name, form=form, clash=_clash(name, form), status=409)
    return done("Saved", back=_list(), go=url_for("secrets.show", name=name))


def _value_refused(name: str, errors: Errors) -> Response:
    if not render.wants_part():
        return _show(name, errors, status=422)
    response = render.part("_checked.html", status=422, errors=errors)
    response.headers["HX-Reswap"] = "none"
    return response


def _value_clashed(name: str, sent: dict[str, str]) -> Response:
    """Nobody can compare values. htmx leaves the field with what was typed as it is, and gets who was faster."""
    clash = _clash(name, DescriptionForm.of(_found(name)))
    if not render.wants_part():
        return _show(name, clash_of_value=clash, status=409)
    return render.part("settings/_secret_clash.html", status=409, secret=_found(name), clash=clash, oob=True)


def _clash(name: str, form: DescriptionForm) -> Clash:
    stored = DescriptionForm.of(_found(name))
    with get_runtime().db.read() as conn:
        return clash_of(conn, form, stored, request.form, target=Target("secret", name), labels={})


@bp.post("/<name>/delete")
@require("administer")
def delete(name: str) -> Response:
    """Forget it, unless it is used."""
    service.delete(get_runtime(), current_actor(), name)
    return done(f"Secret {name} is deleted", back=_list(), go=_list())


def _index(form: dict[str, str] | None = None, errors: Errors | None = None, *, status: int = 200) -> Response:
    after = request.args.get("after", "")[:64]
    found, following = service.list_secrets(get_runtime(), current_actor(), after)
    return render.part(
        "settings/secrets.html",
        status=status,
        secrets=found,
        form=form or {},
        errors=errors or {},
        following=url_with(_list(), after=following) if following else None,
        first=_list() if after else None,
    )


def _show(
    name: str,
    errors: Errors | None = None,
    *,
    form: DescriptionForm | None = None,
    clash: Clash | None = None,
    clash_of_value: Clash | None = None,
    status: int = 200,
) -> Response:
    found = _found(name)
    stored = DescriptionForm.of(found)
    with get_runtime().db.read() as conn:
        opened = opened_for(conn, stored, Target("secret", name), is_refused=bool(errors))
    return render.part(
        "settings/secret.html",
        status=status,
        secret=found,
        form=form or stored,
        errors=errors or {},
        clash=clash,
        clash_of_value=clash_of_value,
        opened=opened,
    )


def _found(name: str) -> SecretInfo:
    found = service.find_secret(get_runtime(), current_actor(), name)
    if found is None:
        raise NotFound("There is no such secret.")
    return found


def _value(sent: dict[str, str]) -> str:
    """As typed: browsers send line breaks as CR LF, and people copy one too many at the end."""
    return sent["value"].replace("\r\n", "\n").strip("\n")


def _errors(refusal: Refused | Conflict, fallback: str) -> Errors:
    errors: Errors = {}
    for fault in refusal.faults:
        errors.setdefault(fault.pointer.lstrip("/"), []).append(fault.message)
    return errors or {fallback: [refusal.detail]}


def _list() -> str:
    return url_for("secrets.index")
