"""Links with which somebody who forgot their password sets another one: made by an administrator, good for one use.

Whoever sets a password so is not signed in by it: the second factor, where there is one, is still asked for.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, NotFound
from webapp.runtime import Runtime
from webapp.services.accounts import (
    PASSWORD_RESET,
    demand,
    fingerprint,
    note,
    prepare_password,
    save_password,
)
from webapp.services.invitations import Made
from webapp.services.sign_in import Visit
from webapp.store import accounts, one_time_links

LIFE = timedelta(hours=24)


def create(rt: Runtime, actor: Actor, user_id: str) -> Made:
    """A link for this user; one made before is withdrawn. Raises ``NotFound``, or ``Conflict`` for who is disabled."""
    demand(actor)
    token, now = secrets.token_urlsafe(32), rt.clock()
    row = {
        "token_hash": fingerprint(token),
        "purpose": PASSWORD_RESET,
        "id": rt.new_id("lnk"),
        "user_id": user_id,
        "created_by": actor.id,
        "created_at": now,
        "expires_at": now + LIFE,
    }
    with rt.db.write() as conn:
        user = accounts.get_user(conn, user_id)
        if user.disabled_at is not None:
            raise Conflict("This user is disabled; enable them first.")
        one_time_links.revoke_links_for(conn, user_id, PASSWORD_RESET, now)
        one_time_links.add_link(conn, row)
        note(rt, conn, actor, "user.password_link_created", "user", user_id, user.username)
    return Made(str(row["id"]), f"{rt.settings.base_url}/new-password?token={token}", now + LIFE)


def find(rt: Runtime, token: str) -> Any:
    """The link behind a token, open or not, with the username; None when it is not known."""
    with rt.db.read() as conn:
        return one_time_links.find_link(conn, fingerprint(token), PASSWORD_RESET)


def use(rt: Runtime, token: str, password: str, visit: Visit) -> str:
    """Set the password, and end every session of that user; answers the username.

    Raises ``Refused``, and then the link is still good, or ``NotFound`` when somebody was faster.
    """
    link = find(rt, token)
    if link is None:
        raise NotFound("This link was used already, was withdrawn, has expired or never existed.")
    encoded = prepare_password(password, link.username)
    with rt.db.write() as conn:
        one_time_links.use_link(conn, fingerprint(token), PASSWORD_RESET, rt.clock())
        user = accounts.get_user(conn, link.user_id)
        if user.disabled_at is not None:
            raise NotFound("This user is disabled.")
        actor = Actor("user", user.id, user.username, user.role, ip=visit.ip, request_id=visit.request_id)
        save_password(rt, conn, actor, user.id, encoded)
    return str(user.username)
