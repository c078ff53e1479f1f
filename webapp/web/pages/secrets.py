"""Settings, Secrets: names, who uses them, and forms that take a value. No page shows one."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for

from webapp.domain.errors import Conflict, NotFound, Refused
from webapp.services import secrets as service
from webapp.web import render
from webapp.web.answers import done, url_with
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.requests import read_form

bp = Blueprint("secrets", __name__, url_prefix="/settings/secrets")

Errors = dict[str, list[str]]


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


@bp.post("/<name>/value")
@require("administer")
def replace(name: str) -> Response:
    """Another value."""
    sent = read_form("value")
    try:
        service.change(get_runtime(), current_actor(), name, value=_value(sent))
    except Refused as refusal:
        return _show(name, _errors(refusal, "value"), status=422)
    return done(f"{name} has a new value", back=_list(), go=_list())


@bp.post("/<name>/description")
@require("administer")
def describe(name: str) -> Response:
    """Other words about it."""
    sent = read_form("description")
    try:
        service.change(get_runtime(), current_actor(), name, description=sent["description"])
    except Refused as refusal:
        return _show(name, _errors(refusal, "description"), status=422)
    return done("Saved", back=_list(), go=url_for("secrets.show", name=name))


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


def _show(name: str, errors: Errors | None = None, *, status: int = 200) -> Response:
    found = service.find_secret(get_runtime(), current_actor(), name)
    if found is None:
        raise NotFound("There is no such secret.")
    return render.part("settings/secret.html", status=status, secret=found, errors=errors or {})


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
