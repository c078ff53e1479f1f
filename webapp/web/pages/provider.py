"""Signing in by the identity provider: there, and back. What has to come back is sealed in the cookie, for ten minutes.

It begins by a link, not a form: a form may lead nowhere but here (``form-action`` of the content policy).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from webapp.domain.errors import Conflict, HubError, NotFound, Refused
from webapp.domain.identity import NotAdmitted
from webapp.services import identities, second_factor, vault
from webapp.services.attempts import TooManyFailures
from webapp.services.provider import Flow, ProviderTrouble
from webapp.web import auth, render, second_step
from webapp.web.answers import done
from webapp.web.context import get_provider, get_runtime
from webapp.web.pages.keys import errors_of
from webapp.web.requests import read_form

bp = Blueprint("provider", __name__)

AWAY, MAY_LINK, PLACE = "away", "may_link", "sign-in by the provider"
PATIENCE = timedelta(minutes=10)
LONGEST = 4000
BACK_HOME = ("/sign-in", "Back to signing in")


@bp.get("/sign-in/provider")
@auth.public
def begin() -> ResponseReturnValue:
    """To the provider; ``next`` is where to go afterwards."""
    target = request.args.get("next", "")
    return _send_away(target if auth.is_local_path(target) else "/", link="")


@bp.get("/sign-in/provider/callback")
@auth.public
def callback() -> ResponseReturnValue:
    """Back from the provider, with a code or with a refusal."""
    kept = _came_back()
    try:
        if kept is None or not _is_ours(kept["flow"]):
            raise Refused(
                "provider-refused", "This sign-in was begun elsewhere, has ended or took too long.", status=400
            )
        claims = get_provider().redeem(kept["flow"], _code())
        if kept["link"]:
            return _linked(kept, claims)
        outcome = identities.arrive(get_runtime(), claims, auth.get_visit())
    except (Refused, Conflict, NotAdmitted, ProviderTrouble) as trouble:
        return _failed(trouble)
    return second_step.go_on(outcome, kept["next"], second_step.PROVIDER)


@bp.get("/sign-out/provider")
@auth.public
def end() -> ResponseReturnValue:
    """Signing out of the provider as well, where that is possible."""
    _must_be_set()
    try:
        return redirect(get_provider().sign_out_url() or "/sign-in")
    except ProviderTrouble as trouble:
        return _failed(trouble)


@bp.post("/settings/account/provider")
@auth.require("read")
def allow_link() -> ResponseReturnValue:
    """With the password: a way to the provider that links the account there to the one here."""
    _must_be_set()
    try:
        second_factor.confirm_password(get_runtime(), auth.current_actor(), read_form("password")["password"])
    except (Refused, TooManyFailures) as refusal:
        return _link_page(errors_of(refusal, "password"), refusal.status)
    session[MAY_LINK] = get_runtime().clock().timestamp()
    return _link_page({}, 200, may=True)


@bp.get("/settings/account/provider")
@auth.require("read")
def show_link() -> ResponseReturnValue:
    """How the account is linked, and the form that changes it."""
    _must_be_set()
    return _link_page({}, 200)


@bp.get("/settings/account/provider/go")
@auth.require("read")
def go_link() -> ResponseReturnValue:
    """To the provider, if the password was given just now."""
    began = session.pop(MAY_LINK, 0)
    if get_runtime().clock().timestamp() - began > PATIENCE.total_seconds():
        return redirect(url_for("provider.show_link"))
    return _send_away("/settings/account", link=auth.current_actor().id)


@bp.post("/settings/account/provider/unlink")
@auth.require("read")
def unlink() -> ResponseReturnValue:
    """With the password: cut the link."""
    _must_be_set()
    try:
        identities.unlink(get_runtime(), auth.current_actor(), read_form("password")["password"])
    except (Refused, Conflict, TooManyFailures) as refusal:
        return _link_page(errors_of(refusal, "password"), refusal.status)
    here = url_for("settings.account")
    return done("The link is cut", back=here, go=here)


def _send_away(target: str, *, link: str) -> ResponseReturnValue:
    _must_be_set()
    rt = get_runtime()
    try:
        url, flow = get_provider().begin()
    except ProviderTrouble as trouble:
        return _failed(trouble)
    until = (rt.clock() + PATIENCE).timestamp()
    kept = json.dumps({"flow": asdict(flow), "next": target[: LONGEST // 4], "link": link, "until": until})
    session[AWAY] = base64.b64encode(vault.seal(rt.settings, kept, bound_to=PLACE)).decode()
    return redirect(url)


def _came_back() -> dict[str, Any] | None:
    """What was kept when they went away; once, whatever comes of it."""
    _must_be_set()
    rt, sealed = get_runtime(), session.pop(AWAY, "")
    try:
        kept = json.loads(vault.unseal(rt.settings, base64.b64decode(sealed), bound_to=PLACE))
    except (vault.SealBroken, binascii.Error, ValueError, TypeError):
        return None
    if rt.clock().timestamp() > kept["until"]:
        return None
    return {**kept, "flow": Flow(**kept["flow"])}


def _is_ours(flow: Flow) -> bool:
    """Whether this answer belongs to what was begun here, and comes from the provider that was asked (RFC 9207)."""
    state, issuer = request.args.get("state", ""), get_runtime().settings.oidc_issuer
    same = hmac.compare_digest(state.encode("utf-8", "replace"), flow.state.encode())
    return same and request.args.get("iss", issuer) == issuer


def _code() -> str:
    if error := request.args.get("error"):
        raise Refused("provider-refused", f"The identity provider refused: {error[:100]}.", status=403)
    code = request.args.get("code", "")
    if not 0 < len(code) <= LONGEST:
        raise Refused("provider-refused", "The identity provider sent no code.", status=400)
    return code


def _linked(kept: dict[str, Any], claims: dict[str, Any]) -> ResponseReturnValue:
    actor = auth.find_actor()
    if actor is None or actor.id != kept["link"]:
        raise Refused("provider-refused", "You are not signed in any more as who began this.", status=403)
    identities.link(get_runtime(), actor, claims)
    here = url_for("settings.account")
    return done("Your account is linked", back=here, go=here)


def _link_page(errors: dict[str, list[str]], status: int, *, may: bool = False) -> Response:
    rt = get_runtime()
    state = second_factor.state_of(rt, auth.current_actor())
    context = {"state": state, "provider": rt.settings.oidc_name, "may": may, "errors": errors}
    return render.part("settings/provider.html", status=status, **context)


def _failed(trouble: HubError) -> Response:
    """One page for every failure: what, what to do, and the way back."""
    signed_in = auth.find_actor() is not None
    back, words = ("/settings/account", "Back to your account") if signed_in else BACK_HOME
    html = render_template(
        "session/provider_failed.html",
        title="Not let in"
        if isinstance(trouble, NotAdmitted)
        else "Nothing was changed"
        if signed_in
        else "Not signed in",
        detail=trouble.detail,
        advice=""
        if isinstance(trouble, NotAdmitted)
        else "Nothing was changed. Try again; if it stays, tell an administrator.",
        back=back,
        back_words=words,
        request_id=auth.request_id(),
    )
    return make_response(html, trouble.status)


def _must_be_set() -> None:
    if not get_runtime().settings.oidc_issuer:
        raise NotFound("This hub knows no identity provider.")
