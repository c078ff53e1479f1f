"""The first administrator, created through the one-time link that the console prints. There is no default password."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from webapp.domain.errors import NotFound, Refused
from webapp.services import accounts, sign_in
from webapp.web import auth
from webapp.web.context import get_runtime
from webapp.web.requests import read_form

bp = Blueprint("setup", __name__)
Errors = dict[str, list[str]]


@bp.get("/setup")
@auth.public
def show() -> ResponseReturnValue:
    """The form, if the link can still be used."""
    token = request.args.get("token", "")
    if not accounts.is_setup_open(get_runtime(), token):
        return _closed()
    return _form(token, "", {})


@bp.post("/setup")
@auth.public
def create() -> ResponseReturnValue:
    """Create the administrator and sign in."""
    rt = get_runtime()
    sent = read_form("token", "username", "password", "password_again")
    if not accounts.is_setup_open(rt, sent["token"]):
        return _closed()
    if sent["password"] != sent["password_again"]:
        return _form(sent["token"], sent["username"], {"password_again": ["The two passwords differ."]})
    visit = auth.get_visit()
    try:
        user_id = accounts.create_first_admin(
            rt, sent["token"], sent["username"], sent["password"], ip=visit.ip, request_id=visit.request_id
        )
    except Refused as error:
        return _form(sent["token"], sent["username"], _by_field(error))
    except NotFound:
        return _closed()
    auth.begin_session(sign_in.open_session(rt, user_id, visit))
    return redirect("/", 303)


def _by_field(error: Refused) -> Errors:
    errors: Errors = {} if error.faults else {"": [error.detail]}
    for fault in error.faults:
        errors.setdefault(fault.pointer.lstrip("/"), []).append(fault.message)
    return errors


def _form(token: str, username: str, errors: Errors) -> Response:
    html = render_template("setup/show.html", token=token, username=username[:64], errors=errors)
    return make_response(html, 422 if errors else 200)


def _closed() -> Response:
    return make_response(render_template("setup/closed.html", has_users=accounts.has_users(get_runtime())), 410)
