"""Signing in and out. The same words for a wrong name and a wrong password; limits are the service's."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from webapp.domain.errors import HubError, NotFound
from webapp.domain.second_factor import FEW_CODES
from webapp.services import accounts, second_factor, sign_in, sign_in_links
from webapp.services.attempts import SignInFailed, TooManyFailures
from webapp.services.vault import SealBroken
from webapp.web import auth, second_step
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
    """Check name and password, begin a new session or ask for a code."""
    sent = read_form("username", "password", "next")
    target = _local(sent["next"])
    try:
        outcome = sign_in.sign_in(get_runtime(), sent["username"], sent["password"], auth.get_visit())
    except (SignInFailed, TooManyFailures) as error:
        return _told(_form(next=target, username=sent["username"], error=error), error)
    return second_step.go_on(outcome, target)


@bp.get("/sign-in/code")
@auth.public
def ask_code() -> ResponseReturnValue:
    """The second half; without the first, back to it."""
    if second_step.half_in() is None:
        return redirect(url_for("session.show"))
    return _code_form()


@bp.post("/sign-in/code")
@auth.public
def check_code() -> ResponseReturnValue:
    """Check the code, begin the session, go on."""
    waiting = second_step.half_in()
    if waiting is None:
        return _form(error=SignInFailed("That took too long: begin again."))
    pending, target = waiting
    rt, visit = get_runtime(), auth.get_visit()
    try:
        admitted = sign_in.finish(rt, pending, read_form("code")["code"], visit)
    except (SignInFailed, TooManyFailures, SealBroken) as error:
        return _told(_code_form(error), error)
    answer = second_step.go_on(admitted, target, pending.by)
    _warn_of_few_codes()
    return answer


@bp.get("/sign-in/link")
@auth.public
def show_link() -> Response:
    """A button that uses the link: programs that look at addresses in messages only GET."""
    return make_response(render_template("session/link.html", token=request.args.get("token", "")[:100]))


@bp.post("/sign-in/link")
@auth.public
def use_link() -> ResponseReturnValue:
    """Sign in by the link that the console made."""
    try:
        token = sign_in_links.use(get_runtime(), read_form("token")["token"], auth.get_visit())
    except NotFound as error:
        return make_response(render_template("session/link.html", token="", message=error.detail), 410)
    second_step.let_in(token, second_step.LINK)
    return redirect("/", 303)


@bp.post("/sign-out")
@auth.public
def end() -> ResponseReturnValue:
    """End the session; harmless when there is none."""
    by = second_step.came_by()
    auth.end_session()
    if by == second_step.PROVIDER:
        session["signed_out_of"] = by
    return redirect("/sign-in", 303)


def _warn_of_few_codes() -> None:
    state = second_factor.state_of(get_runtime(), auth.current_actor())
    if state.codes_left <= FEW_CODES:
        second_step.warn(f"Recovery codes left: {state.codes_left}. Make new ones under your name.")


def _form(*, next: str = "/", username: str = "", error: HubError | None = None) -> Response:
    rt = get_runtime()
    html = render_template(
        "session/show.html",
        next=next,
        username=username[:64],
        errors={"": error.detail} if error else {},
        first_run=not accounts.has_users(rt),
        has_password=rt.settings.password_sign_in,
        provider=rt.settings.oidc_name if rt.settings.oidc_issuer else "",
        left_provider=session.pop("signed_out_of", ""),
    )
    return make_response(html, error.status if error else 200)


def _code_form(error: HubError | None = None) -> Response:
    errors = {"code": error.detail} if error else {}
    return make_response(render_template("session/code.html", errors=errors), error.status if error else 200)


def _told(response: Response, error: HubError) -> Response:
    if isinstance(error, TooManyFailures):
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def _local(target: str) -> str:
    return target if auth.is_local_path(target) else "/"
