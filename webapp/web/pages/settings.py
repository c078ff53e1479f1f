"""Settings: users, API keys and what the environment set, for administrators; the own password, for everybody.

A key's secret is in exactly one answer, the one to the form that created it; nothing keeps it.
"""

from __future__ import annotations

import dataclasses

from flask import Blueprint, Response, redirect, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp.domain.errors import Conflict, HubError, Refused
from webapp.services import accounts
from webapp.settings import Settings, variable
from webapp.web import render
from webapp.web.answers import done
from webapp.web.auth import TOKEN, current_actor, require
from webapp.web.context import get_runtime
from webapp.web.requests import read_form

bp = Blueprint("settings", __name__, url_prefix="/settings")

ROLES = {
    "publisher": "sends events, nothing else",
    "viewer": "reads everything",
    "operator": "also sends, retries and edits",
    "admin": "also manages users and keys",
}


@bp.get("")
@require("administer")
def index() -> AnyResponse:
    """Where the settings begin."""
    return redirect(url_for("settings.users"))


@bp.get("/users")
@require("administer")
def users() -> Response:
    """Everybody, and the form for one more."""
    return _users()


@bp.post("/users")
@require("administer")
def create_user() -> Response:
    """One more user, or the form again with what is wrong."""
    sent = read_form("username", "password", "role")
    try:
        accounts.create_user(get_runtime(), current_actor(), sent["username"], sent["password"], sent["role"])
    except (Refused, Conflict) as refusal:
        return _users(sent, _errors(refusal, "username"), status=422)
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


@bp.get("/keys")
@require("administer")
def keys() -> Response:
    """Every API key, and the form for one more."""
    return _keys()


@bp.post("/keys")
@require("administer")
def create_key() -> Response:
    """One more key; this answer, and no other, has its secret."""
    sent = read_form("name", "role", "rate_limit")
    try:
        limit = _limit_of(sent["rate_limit"])
        key_id, secret = accounts.create_key(get_runtime(), current_actor(), sent["name"], sent["role"], limit)
    except (Refused, Conflict) as refusal:
        return _keys(sent, _errors(refusal, "name"), status=422)
    response = _keys(created=(key_id, sent["name"].strip(), sent["role"], secret))
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.post("/keys/<key_id>/limit")
@require("administer")
def limit_key(key_id: str) -> Response:
    """Another limit of requests a minute; an empty field takes it away."""
    limit = _limit_of(read_form("rate_limit")["rate_limit"])
    accounts.limit_key(get_runtime(), current_actor(), key_id, limit)
    here = url_for("settings.keys")
    return done("No limit of its own" if limit is None else f"Limited to {limit} requests a minute", back=here, go=here)


@bp.post("/keys/<key_id>/revoke")
@require("administer")
def revoke_key(key_id: str) -> Response:
    """The key is refused from now on."""
    accounts.revoke_key(get_runtime(), current_actor(), key_id)
    return done("Revoked", back=url_for("settings.keys"), go=url_for("settings.keys"))


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
    """The own name and role, and the form for another password."""
    return render.part("settings/account.html", errors={})


@bp.post("/account")
@require("read")
def change_password() -> Response:
    """Another password; every other session of this person ends."""
    sent, token = read_form("old_password", "password"), session.get(TOKEN, "")
    try:
        accounts.change_own_password(
            get_runtime(),
            current_actor(),
            sent["old_password"],
            sent["password"],
            session_id=accounts.fingerprint(token),
        )
    except Refused as refusal:
        return render.part("settings/account.html", status=422, errors=_errors(refusal, "password"))
    here = url_for("settings.account")
    return done("Your password is changed; other browsers are signed out", back=here, go=here)


def _users(
    form: dict[str, str] | None = None, errors: dict[str, list[str]] | None = None, *, status: int = 200
) -> Response:
    everybody = accounts.list_users(get_runtime())
    return render.part(
        "settings/users.html",
        status=status,
        users=everybody,
        form=form or {"role": "operator"},
        errors=errors or {},
        role_choices=[(role, role.capitalize()) for role in accounts.USER_ROLES],
        role_names=accounts.USER_ROLES,
    )


def _keys(
    form: dict[str, str] | None = None,
    errors: dict[str, list[str]] | None = None,
    *,
    created: tuple[str, str, str, str] | None = None,
    status: int = 200,
) -> Response:
    rt = get_runtime()
    names = {f"user:{user.id}": user.username for user in accounts.list_users(rt)}
    return render.part(
        "settings/keys.html",
        status=status,
        keys=accounts.list_keys(rt),
        creators=names,
        form=form or {"role": "publisher"},
        errors=errors or {},
        role_choices=[
            (role, f"{role.capitalize()} {ROLES[role]}") for role in ("publisher", "viewer", "operator", "admin")
        ],
        created=created,
        example=_example(created) if created else "",
        default_limit=rt.settings.rate_limit,
    )


def _limit_of(text: str) -> int | None:
    """A limit as it was typed; what is no number is refused with the service's own words for one out of range."""
    text = text.strip()
    return (int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0) if text else None


def _example(created: tuple[str, str, str, str]) -> str:
    """A command that works as it stands."""
    _, _, role, secret = created
    base = get_runtime().settings.base_url
    head = f"curl {base}/api/v1/events \\\n  -H 'Authorization: Bearer {secret}'"
    if role == "viewer":
        return head
    event = '{"type": "order.created", "source": "shop", "payload": {"amount": 129.5}}'
    return f"{head} \\\n  -H 'Content-Type: application/json' \\\n  -d '{event}'"


def _errors(refusal: HubError, fallback: str) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    for fault in refusal.faults:
        errors.setdefault(fault.pointer.lstrip("/") or fallback, []).append(fault.message)
    return errors or {fallback: [refusal.detail]}


def _users_url() -> str:
    return url_for("settings.users")
