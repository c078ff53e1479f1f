"""The second factor under one's own name, and an administrator's reset. What is shown once is in one answer to a POST."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import segno
from flask import Blueprint, Response, session, url_for

from webapp.domain.errors import Conflict, Refused
from webapp.services import second_factor as service
from webapp.services.accounts import fingerprint
from webapp.services.attempts import TooManyFailures
from webapp.web import render, second_step
from webapp.web.answers import done
from webapp.web.auth import TOKEN, current_actor, require
from webapp.web.context import get_runtime
from webapp.web.pages.keys import errors_of
from webapp.web.requests import read_form

bp = Blueprint("second_factor", __name__, url_prefix="/settings")

SETTING_UP = "setting_up"
PATIENCE = timedelta(minutes=15)


@bp.get("/account/second-factor")
@require("read")
def show() -> Response:
    """How it stands, and what can be done."""
    return _page()


@bp.post("/account/second-factor")
@require("read")
def begin() -> Response:
    """With the password: a fresh secret, in this answer only."""
    actor, password = current_actor(), read_form("password")["password"]
    try:
        offer = service.begin(get_runtime(), actor, password)
    except (Refused, Conflict, TooManyFailures) as refusal:
        return _refused(refusal, "password")
    session[SETTING_UP] = get_runtime().clock().timestamp()
    return _offer(offer)


@bp.post("/account/second-factor/confirm")
@require("read")
def confirm() -> Response:
    """With a code of it: from now on it counts. The recovery codes are in this answer only."""
    rt, actor = get_runtime(), current_actor()
    began = session.get(SETTING_UP, 0)
    if rt.clock().timestamp() - began > PATIENCE.total_seconds():
        return _refused(Conflict("That took too long: begin again."), "")
    try:
        shown = service.confirm(rt, actor, read_form("code")["code"], keep_session=own_session())
    except Refused as refusal:
        return _offer(service.offered(rt, actor), errors_of(refusal, "code"), status=422)
    except Conflict as refusal:
        return _refused(refusal, "")
    session.pop(SETTING_UP)
    return _codes(shown)


@bp.post("/account/second-factor/codes")
@require("read")
def codes() -> Response:
    """With the password: other recovery codes, in this answer only."""
    return _with_password(lambda sent: _codes(service.new_recovery_codes(get_runtime(), current_actor(), sent)))


@bp.post("/account/second-factor/off")
@require("read")
def switch_off() -> Response:
    """With the password: the password alone is enough again."""
    here = url_for("settings.account")

    def switch(password: str) -> Response:
        service.switch_off(get_runtime(), current_actor(), password, keep_session=own_session())
        return done("Your second factor is off; other browsers are signed out", back=here, go=here)

    return _with_password(switch)


@bp.post("/users/<user_id>/second-factor/reset")
@require("administer")
def reset(user_id: str) -> Response:
    """Take somebody's away who has lost it."""
    service.reset(get_runtime(), current_actor(), user_id)
    here = url_for("settings.users")
    return done("The second factor is reset; they are signed out", back=here, go=here)


def own_session() -> str:
    """The id of the session of whoever asks."""
    return fingerprint(session.get(TOKEN, ""))


def _with_password(act: Callable[[str], Response]) -> Response:
    try:
        return act(read_form("password")["password"])
    except (Refused, Conflict, TooManyFailures) as refusal:
        return _refused(refusal, "password")


def _refused(refusal: Refused | Conflict | TooManyFailures, field: str) -> Response:
    if isinstance(refusal, TooManyFailures):
        answer = _page({field: [refusal.detail]}, status=429)
        answer.headers["Retry-After"] = str(refusal.retry_after_s)
        return answer
    return _page(errors_of(refusal, "" if isinstance(refusal, Conflict) else field), status=422)


def _page(errors: dict[str, list[str]] | None = None, *, status: int = 200) -> Response:
    state = service.state_of(get_runtime(), current_actor())
    return _part("second_factor/show.html", status, errors=errors or {}, state=state)


def _offer(offer: service.Offer, errors: dict[str, list[str]] | None = None, *, status: int = 200) -> Response:
    picture = segno.make(offer.link, error="m").svg_data_uri(scale=5, border=4, dark="#000", light="#fff")
    key = " ".join(offer.secret[start : start + 4] for start in range(0, len(offer.secret), 4))
    return _part("second_factor/offer.html", status, errors=errors or {}, picture=picture, key=key)


def _codes(shown: list[str]) -> Response:
    return _part("second_factor/codes.html", 200, codes=shown)


def _part(template: str, status: int, **context: object) -> Response:
    """In the shell, or without it for who has to set one up before they may see anything else."""
    led = second_step.is_led()
    alone = {"signed_in": False} if led else {}
    return render.part(template, status=status, led=led, actor=current_actor(), **alone, **context)
