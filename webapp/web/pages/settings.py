"""Settings: users and what the environment set, for administrators; the own password, for everybody."""

from __future__ import annotations

import dataclasses

from flask import Blueprint, Response, redirect, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp.domain.errors import Conflict, Refused
from webapp.services import accounts, invitations, second_factor
from webapp.services.invitations import Made
from webapp.settings import Settings, variable
from webapp.web import render
from webapp.web.answers import done
from webapp.web.auth import TOKEN, current_actor, require
from webapp.web.context import get_runtime
from webapp.web.pages.keys import errors_of
from webapp.web.requests import read_form

bp = Blueprint("settings", __name__, url_prefix="/settings")


@bp.get("")
@require("administer")
def index() -> AnyResponse:
    """Where the settings begin."""
    return redirect(url_for("settings.users"))


@bp.get("/users")
@require("administer")
def users() -> Response:
    """Everybody, and the form for one more."""
    return users_page()


@bp.post("/users")
@require("administer")
def create_user() -> Response:
    """One more user, or the form again with what is wrong."""
    sent = read_form("username", "password", "role")
    try:
        accounts.create_user(get_runtime(), current_actor(), sent["username"], sent["password"], sent["role"])
    except (Refused, Conflict) as refusal:
        return users_page(sent, errors_of(refusal, "username"), status=422)
    return done(f"{sent['username']} can sign in now", back=_users_url(), go=_users_url())


@bp.post("/users/<user_id>/disable")
@require("administer")
def disable_user(user_id: str) -> Response:
    """Sign the user out and keep them out."""
    accounts.disable_user(get_runtime(), current_actor(), user_id)
    return done("Disabled and signed out", back=_users_url(), go=_users_url())


@bp.post("/users/<user_id>/enable")
@require("administer")
def enable_user(user_id: str) -> Response:
    """Let the user sign in again."""
    accounts.enable_user(get_runtime(), current_actor(), user_id)
    return done("Enabled", back=_users_url(), go=_users_url())


@bp.post("/users/<user_id>/role")
@require("administer")
def set_role(user_id: str) -> Response:
    """Give the user another role."""
    role = read_form("role")["role"]
    accounts.set_role(get_runtime(), current_actor(), user_id, role)
    return done(f"Is {role} now", back=_users_url(), go=_users_url())


@bp.post("/users/<user_id>/payloads")
@require("administer")
def set_payloads(user_id: str) -> Response:
    """Let the user view payloads, or hide them."""
    sees = read_form("sees")["sees"] == "yes"
    accounts.set_sees_payloads(get_runtime(), current_actor(), user_id, sees)
    return done("May view payloads now" if sees else "Payloads are hidden now", back=_users_url(), go=_users_url())


@bp.get("/environment")
@require("administer")
def environment() -> Response:
    """Every setting with its value; secrets are masked."""
    settings = get_runtime().settings
    values, defaults = settings.describe(), Settings(var_dir=settings.var_dir).describe()
    rows = [
        (name := variable(one.name), values[name], values[name] != defaults[name], one.metadata)
        for one in dataclasses.fields(Settings)
    ]
    return render.part("settings/environment.html", rows=rows)


@bp.get("/account")
@require("read")
def account() -> Response:
    """The own name and role, the form for another password, and where one is signed in."""
    return _account({})


@bp.post("/account/sign-out-others")
@require("read")
def sign_out_others() -> Response:
    """Every other browser of this person is signed out."""
    ended = accounts.sign_out_others(get_runtime(), current_actor(), _own_session())
    here = url_for("settings.account")
    return done(f"{ended} signed out" if ended else "There were no others", back=here, go=here)


@bp.post("/account")
@require("read")
def change_password() -> Response:
    """Another password; every other session of this person ends."""
    sent = read_form("old_password", "password")
    try:
        accounts.change_own_password(
            get_runtime(),
            current_actor(),
            sent["old_password"],
            sent["password"],
            session_id=_own_session(),
        )
    except Refused as refusal:
        return _account(errors_of(refusal, "password"), status=422)
    here = url_for("settings.account")
    return done("Your password is changed; other browsers are signed out", back=here, go=here)


def _account(errors: dict[str, list[str]], *, status: int = 200) -> Response:
    rt, actor = get_runtime(), current_actor()
    return render.part(
        "settings/account.html",
        status=status,
        errors=errors,
        sessions=accounts.list_sessions(rt, actor),
        own=_own_session(),
        factor=second_factor.state_of(rt, actor),
        provider=rt.settings.oidc_name if rt.settings.oidc_issuer else "",
    )


def _own_session() -> str:
    return accounts.fingerprint(session.get(TOKEN, ""))


def users_page(
    form: dict[str, str] | None = None,
    errors: dict[str, list[str]] | None = None,
    *,
    made: Made | None = None,
    made_for: str = "",
    status: int = 200,
) -> Response:
    """Everybody, who is invited, and the forms; with ``made``, a link that is in no other answer."""
    rt = get_runtime()
    everybody = accounts.list_users(rt)
    return render.part(
        "settings/users.html",
        status=status,
        users=everybody,
        names={user.id: user.username for user in everybody},
        invitations=invitations.list_open(rt),
        made=made,
        made_for=made_for,
        form={"role": "operator", "invited_role": "operator", "life": "72"} | (form or {}),
        errors=errors or {},
        role_choices=[(role, role.capitalize()) for role in accounts.USER_ROLES],
        role_names=accounts.USER_ROLES,
    )


def _users_url() -> str:
    return url_for("settings.users")
