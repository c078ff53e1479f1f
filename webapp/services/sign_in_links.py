"""The way in when passwords are switched off and the identity provider is down: a link from the hub's own console."""

from __future__ import annotations

import secrets
from datetime import timedelta

from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, Forbidden, NotFound
from webapp.runtime import Runtime
from webapp.services import trail
from webapp.services.accounts import clean_username, fingerprint
from webapp.services.attempts import Visit
from webapp.services.sign_in import start_session
from webapp.store import accounts
from webapp.store import second_factor as factors
from webapp.store.audit import Target

PURPOSE = "sign-in"
LIFE = timedelta(minutes=15)


def make(rt: Runtime, actor: Actor, username: str) -> str:
    """A link that signs an administrator in, once, within 15 minutes."""
    if actor.kind != "system":
        raise Forbidden("Only the hub's own console makes such links.")
    token, now = secrets.token_urlsafe(32), rt.clock()
    with rt.db.write() as conn:
        user = accounts.find_user(conn, clean_username(username))
        if user is None:
            raise NotFound(f"There is no user {username}.")
        if user.disabled_at is not None or user.role != "admin":
            raise Conflict(f"{user.username} is no administrator who may sign in.")
        row = {"token_hash": fingerprint(token), "purpose": PURPOSE, "created_at": now, "expires_at": now + LIFE}
        accounts.add_link(conn, row | {"user_id": user.id, "created_by": actor.name})
        trail.leave(rt, conn, actor, "user.sign_in_link_made", Target("user", user.id, user.username))
    return f"{rt.settings.base_url}/sign-in/link?token={token}"


def use(rt: Runtime, token: str, visit: Visit) -> str:
    """The token of a new session. The link is proof enough: no code is asked for. Raises ``NotFound``."""
    with rt.db.write() as conn:
        user_id = factors.use_link(conn, fingerprint(token), PURPOSE, rt.clock())
        user = None if user_id is None else accounts.get_user(conn, user_id)
        if user is None or user.disabled_at is not None:
            raise NotFound("This link was used already, has expired or never existed.")
        return start_session(rt, conn, user, visit, {"by": "link"})
