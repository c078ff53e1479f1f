"""What people open who were sent a link: to become a user, or to set another password. Each link works once."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, flash, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from webapp.domain.errors import Conflict, NotFound, Refused
from webapp.services import invitations, password_links, sign_in
from webapp.web import auth
from webapp.web.context import get_runtime
from webapp.web.pages.keys import errors_of
from webapp.web.requests import read_form

bp = Blueprint("people_links", __name__)
Errors = dict[str, list[str]]


@bp.get("/invitation")
@auth.public
def show_invitation() -> ResponseReturnValue:
    """The form, if the link can still be used."""
    token = request.args.get("token", "")
    link = invitations.find(get_runtime(), token)
    return _form("invitation", token, link) if _is_open(link) else _closed("invitation", link)


@bp.post("/invitation")
@auth.public
def accept_invitation() -> ResponseReturnValue:
    """Become a user and sign in."""
    rt, visit = get_runtime(), auth.get_visit()
    sent = read_form("token", "username", "password", "password_again")
    link = invitations.find(rt, sent["token"])
    if not _is_open(link):
        return _closed("invitation", link)
    if sent["password"] != sent["password_again"]:
        return _form("invitation", sent["token"], link, _DIFFER, sent["username"])
    try:
        user_id = invitations.accept(rt, sent["token"], sent["username"], sent["password"], visit)
    except (Refused, Conflict) as refusal:
        return _form("invitation", sent["token"], link, errors_of(refusal, "username"), sent["username"])
    except NotFound:
        return _closed("invitation", invitations.find(rt, sent["token"]))
    auth.begin_session(sign_in.open_session(rt, user_id, visit))
    return redirect("/", 303)


@bp.get("/new-password")
@auth.public
def show_password() -> ResponseReturnValue:
    """The form, if the link can still be used."""
    token = request.args.get("token", "")
    link = password_links.find(get_runtime(), token)
    return _form("new_password", token, link) if _is_open(link) else _closed("new_password", link)


@bp.post("/new-password")
@auth.public
def set_password() -> ResponseReturnValue:
    """Set it; then they sign in with it, and with their second factor where they have one."""
    rt = get_runtime()
    sent = read_form("token", "password", "password_again")
    link = password_links.find(rt, sent["token"])
    if not _is_open(link):
        return _closed("new_password", link)
    if sent["password"] != sent["password_again"]:
        return _form("new_password", sent["token"], link, _DIFFER)
    try:
        username = password_links.use(rt, sent["token"], sent["password"], auth.get_visit())
    except Refused as refusal:
        return _form("new_password", sent["token"], link, errors_of(refusal, "password"))
    except NotFound:
        return _closed("new_password", password_links.find(rt, sent["token"]))
    auth.end_session()
    flash(f"Your password is set, {username}. Sign in with it.", "succeeded")
    return redirect("/sign-in", 303)


_DIFFER: Errors = {"password_again": ["The two passwords differ."]}


def _is_open(link: Any) -> bool:
    return invitations.is_open(get_runtime(), link)


def _form(page: str, token: str, link: Any, errors: Errors | None = None, username: str = "") -> Response:
    context = {"token": token, "letter": link, "errors": errors or {}, "username": username[:64]}
    return make_response(render_template(f"people/{page}.html", **context), 422 if errors else 200)


def _closed(page: str, link: Any) -> Response:
    return make_response(render_template("people/closed.html", page=page, letter=link), 410)
