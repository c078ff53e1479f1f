"""What administrators do for people beside the list of users: invitations, and links for forgotten passwords."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Response, url_for

from webapp.domain.errors import Conflict, Fault, Refused
from webapp.services import invitations, password_links
from webapp.services.invitations import Invitation
from webapp.web.answers import done
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.pages.keys import errors_of
from webapp.web.pages.settings import users_page
from webapp.web.requests import read_form

bp = Blueprint("people", __name__, url_prefix="/settings/users")

LIVES = {"1": "An hour", "24": "A day", "72": "3 days", "168": "A week", "720": "30 days"}  # hours


@bp.post("/invitations")
@require("administer")
def invite() -> Response:
    """One more invitation; this answer, and no other, has its link."""
    sent = read_form("invited_role", "hide_payloads", "note", "life")
    try:
        made = invitations.invite(get_runtime(), current_actor(), _wanted(sent))
    except (Refused, Conflict) as refusal:
        errors = {
            "invited_role" if name == "role" else name: texts for name, texts in errors_of(refusal, "note").items()
        }
        return users_page(sent, errors, status=422)
    return users_page(made=made, made_for=f"Invitation as {sent['invited_role']}")


@bp.post("/invitations/<link_id>/withdraw")
@require("administer")
def withdraw_invitation(link_id: str) -> Response:
    """The link is worth nothing from now on."""
    invitations.withdraw(get_runtime(), current_actor(), link_id)
    here = url_for("settings.users")
    return done("Withdrawn", back=here, go=here)


@bp.post("/<user_id>/password-link")
@require("administer")
def make_password_link(user_id: str) -> Response:
    """A link for a new password; this answer, and no other, has it."""
    made = password_links.create(get_runtime(), current_actor(), user_id)
    return users_page(made=made, made_for="Link for a new password")


def _wanted(sent: dict[str, str]) -> Invitation:
    if sent["life"] not in LIVES:
        raise Refused("invalid-user", "Choose how long.", faults=[Fault("/life", "unknown", "Choose one of these.")])
    life = timedelta(hours=int(sent["life"]))
    return Invitation(sent["invited_role"], not sent["hide_payloads"], sent["note"], life)
