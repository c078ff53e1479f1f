"""The switch of read-only mode, for administrators."""

from __future__ import annotations

from flask import Blueprint, Response, url_for

from webapp.domain.errors import Refused
from webapp.services import read_only as service
from webapp.web import render
from webapp.web.answers import done
from webapp.web.auth import current_actor, require
from webapp.web.context import get_hub, get_runtime
from webapp.web.pages.keys import errors_of
from webapp.web.requests import read_form

bp = Blueprint("read_only", __name__, url_prefix="/settings/read-only")


@bp.get("")
@require("administer")
def index() -> Response:
    """Whether the hub is read-only, since when and why, and the switch."""
    return _page()


@bp.post("")
@require("administer")
def switch_on() -> Response:
    """Refuse changes from now on, for the reason that is given."""
    sent = read_form("reason")
    try:
        service.switch_on(get_runtime(), current_actor(), sent["reason"])
    except Refused as refusal:
        return _page(sent, errors_of(refusal, "reason"), status=422)
    return _switched("The hub is read-only now")


@bp.post("/off")
@require("administer")
def switch_off() -> Response:
    """Take changes again."""
    service.switch_off(get_runtime(), current_actor())
    return _switched("The hub takes changes again")


def _switched(words: str) -> Response:
    get_hub().read_only.forget()
    here = url_for("read_only.index")
    return done(words, back=here, go=here)


def _page(
    form: dict[str, str] | None = None, errors: dict[str, list[str]] | None = None, *, status: int = 200
) -> Response:
    mode = service.find_mode(get_runtime())
    return render.part("settings/read_only.html", status=status, mode=mode, form=form or {}, errors=errors or {})
