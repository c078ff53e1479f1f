"""Signing in and out. The same words for a wrong name and a wrong password; limits are the service's."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from webapp.services import accounts, sign_in
from webapp.web import auth
from webapp.web.context import get_runtime
from webapp.web.requests import read_form

bp = Blueprint("session", __name__)


@bp.get("/sign-in")
@auth.public
def show() -> ResponseReturnValue:
    """The form; who is signed in already goes on."""
    target = _local(request.args.get("next", ""))
    if auth.find_actor() is not None:
        return redirect(target)
    return _form(next=target)


@bp.post("/sign-in")
@auth.public
def begin() -> ResponseReturnValue:
    """Check name and password, begin a new session, go on."""
    sent = read_form("username", "password", "next")
    target = _local(sent["next"])
    try:
        token = sign_in.sign_in(get_runtime(), sent["username"], sent["password"], auth.get_visit())
    except sign_in.SignInFailed as error:
        return _form(next=target, username=sent["username"], message=error.detail, status=error.status)
    except sign_in.TooManyFailures as error:
        response = _form(next=target, username=sent["username"], message=error.detail, status=error.status)
        response.headers["Retry-After"] = str(error.retry_after_s)
        return response
    auth.begin_session(token)
    return redirect(target, 303)


@bp.post("/sign-out")
@auth.public
def end() -> ResponseReturnValue:
    """End the session; harmless when there is none."""
    auth.end_session()
    return redirect("/sign-in", 303)


def _form(*, next: str, username: str = "", message: str = "", status: int = 200) -> Response:
    errors = {"": message} if message else {}
    first_run = not accounts.has_users(get_runtime())
    html = render_template("session/show.html", next=next, username=username[:64], errors=errors, first_run=first_run)
    return make_response(html, status)


def _local(target: str) -> str:
    return target if auth.is_local_path(target) else "/"
