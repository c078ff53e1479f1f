"""What a person wants to be told and how, the browsers that may be pushed to, and the log of what was sent."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, make_response, request, url_for

from webapp.domain.errors import HubError, Refused
from webapp.domain.notices import CHANNELS, DIGESTS, KINDS, SEVERITIES, Preferences
from webapp.domain.preferences import read_preferences
from webapp.services import inbox, mails, pushes
from webapp.settings import ROOT
from webapp.store import accounts, feed_sends
from webapp.store.inbox import living_subscriptions
from webapp.store.mails import find_address
from webapp.store.pushes import list_subscriptions
from webapp.web import render
from webapp.web.answers import done, paging
from webapp.web.auth import current_actor, public, require
from webapp.web.context import get_runtime

bp = Blueprint("notification_settings", __name__, url_prefix="/notifications")

WORKER = ROOT / "static/js/worker/push.js"
LISTS = (*CHANNELS, "muted_kinds", "muted_subscriptions", "subscriptions")
TEXTS = ("digest", "digest_at", "quiet_from", "quiet_until")


@bp.get("/preferences")
@require("read")
def show() -> Response:
    """The form."""
    return _form(inbox.get_preferences(get_runtime(), current_actor()))


@bp.post("/preferences")
@require("read")
def save() -> Response:
    """Keep what was chosen."""
    sent: dict[str, Any] = {name: request.form.getlist(name)[:200] for name in LISTS}
    sent |= {name: request.form.get(name, "") for name in TEXTS}
    try:
        inbox.set_preferences(get_runtime(), current_actor(), sent)
    except Refused as refused:
        return _form(Preferences.from_json(sent), {one.pointer[1:]: one.message for one in refused.faults}, status=422)
    return done("Preferences saved", back=url_for("notification_settings.show"))


@bp.post("/address")
@require("read")
def give_address() -> Response:
    """Send a link to an address; it is used once somebody opened that."""
    given = request.form.get("address", "")[:300]
    try:
        address = mails.ask(get_runtime(), current_actor(), given)
    except Refused as refused:
        errors = {one.pointer[1:]: one.message for one in refused.faults}
        if not errors:
            raise
        return _form(inbox.get_preferences(get_runtime(), current_actor()), errors, given=given, status=422)
    return done(f"A link is on its way to {address}", back=url_for("notification_settings.show"))


@bp.get("/worker.js")
@public
def worker() -> Response:
    """The service worker, allowed for the whole hub; nothing in it is secret, and browsers fetch it by themselves."""
    answer = make_response(WORKER.read_text())
    answer.headers["Service-Worker-Allowed"] = "/"
    answer.headers["Cache-Control"] = "no-cache"
    answer.mimetype = "text/javascript"
    return answer


@bp.post("/push")
@require("read")
def subscribe() -> Response:
    """This browser may be pushed to."""
    form = request.form
    document = {"endpoint": form.get("endpoint"), "keys": {"p256dh": form.get("p256dh"), "auth": form.get("auth")}}
    pushes.subscribe(get_runtime(), current_actor(), document, request.headers.get("User-Agent", ""))
    return done("This browser is told also when no page is open", back=url_for("notification_settings.show"))


@bp.post("/push/<subscription_id>/remove")
@require("read")
def unsubscribe(subscription_id: str) -> Response:
    """No more pushes to that browser."""
    pushes.unsubscribe(get_runtime(), current_actor(), subscription_id)
    return done("No more pushes to that browser", back=url_for("notification_settings.show"))


@bp.get("/log")
@require("administer")
def log() -> Response:
    """What was sent, to whom, and how it went."""
    known = {"channel": feed_sends.CHANNELS, "state": feed_sends.STATES}
    filters = {name: value if (value := request.args.get(name, "")) in among else "" for name, among in known.items()}
    filters["user"] = request.args.get("user", "")[:64].strip()
    before = request.args.get("before", "")[:64]
    with get_runtime().db.read() as conn:
        page = feed_sends.list_sends(conn, before=before, **filters)  # type: ignore[arg-type]
    return render.page_or_part(
        "notifications/log.html",
        "notifications/_log.html",
        found=page,
        channels=feed_sends.CHANNELS,
        states=feed_sends.STATES,
        **paging(filters, before, page.next),
    )


def _form(wanted: Preferences, errors: dict[str, str] | None = None, *, given: str = "", status: int = 200) -> Response:
    rt, actor = get_runtime(), current_actor()
    with rt.db.read() as conn:
        subscriptions = living_subscriptions(conn)
        browsers = list_subscriptions(conn, actor.id)
        mail = find_address(conn, actor.id)
        zone = read_preferences(accounts.get_user(conn, actor.id).preferences or {}).zone
    return render.part(
        "notifications/preferences.html",
        status=status,
        wanted=wanted,
        errors=errors or {},
        channels=CHANNELS,
        severities=SEVERITIES,
        kinds={name: words for name, words in KINDS.items() if name != "digest"},
        digests=DIGESTS,
        subscriptions=subscriptions,
        browsers=browsers,
        zone=zone,
        mail=mail,
        given=given,
        sends_mail=bool(rt.settings.smtp_url),
        push_key=_push_key(),
    )


def _push_key() -> str:
    try:
        return pushes.public_key(get_runtime())
    except HubError:
        return ""
