"""The address that a person gets notifications at: given, confirmed, taken back; and the link in each mail that stops them.

Links are followed by whatever looks at mail, so opening one changes nothing: a button does.
"""

from __future__ import annotations

from flask import Blueprint, Response, make_response, render_template, request, url_for

from webapp.domain.errors import Conflict, NotFound
from webapp.services import mails
from webapp.web import render
from webapp.web.answers import done
from webapp.web.auth import current_actor, public, request_id, require
from webapp.web.context import get_runtime

bp = Blueprint("mail_address", __name__)


@bp.get("/notifications/address/confirm")
@require("read")
def ask() -> Response:
    """Is this what you want?"""
    return render.part("mail_address/confirm.html", token=request.args.get("token", "")[:400])


@bp.post("/notifications/address/confirm")
@require("read")
def confirm() -> Response:
    """Whoever reads the mail of the address, and is signed in as who gave it, says yes."""
    address = mails.confirm(get_runtime(), current_actor(), request.form.get("token", ""))
    back = url_for("notification_settings.show")
    return done(f"Notifications come to {address} from now on", back=back, go=back)


@bp.post("/notifications/address/remove")
@require("read")
def remove() -> Response:
    """Forget the address."""
    mails.remove(get_runtime(), current_actor())
    return done("The address is forgotten", back=url_for("notification_settings.show"))


@bp.post("/notifications/address/resume")
@require("read")
def resume() -> Response:
    """Mail goes there again."""
    mails.resume(get_runtime(), current_actor())
    return done("Notifications come by mail again", back=url_for("notification_settings.show"))


@bp.get("/u/<token>")
@public
def about_to_stop(token: str) -> Response:
    """The same link for people who open it: a page with a button."""
    try:
        found = mails.whose(get_runtime(), token)
    except NotFound:
        return _page(None, is_stopped=False)
    return _page(found.address, is_stopped=found.stopped_at is not None)


@bp.post("/u/<token>")
@public
def stop(token: str) -> Response:
    """One click in a mail program (RFC 8058), which brings neither cookie nor form; or the button of the page."""
    try:
        address = mails.stop(get_runtime(), token, ip=request.remote_addr or "", request_id=request_id())
    except (NotFound, Conflict):
        return _page(None, is_stopped=False)
    return _page(address, is_stopped=True)


def _page(address: str | None, *, is_stopped: bool) -> Response:
    html = render_template("mail_address/stop.html", address=address, is_stopped=is_stopped)
    return make_response(html, 404 if address is None else 200)
