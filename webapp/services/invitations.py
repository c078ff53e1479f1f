"""Invitations: an administrator makes a link, whoever opens it first becomes a user of the role that it names.

The token is in one answer, the one to who made it; only its hash is kept. A link is used, withdrawn or expired for good.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, Fault
from webapp.runtime import Runtime
from webapp.services.accounts import (
    INVITATION,
    USER_ROLES,
    add_user,
    check_role,
    demand,
    fingerprint,
    invalid_user,
    note,
    prepare_user,
)
from webapp.services.sign_in import Visit
from webapp.store import one_time_links

LIFE = timedelta(days=3)
SHORTEST, LONGEST = timedelta(minutes=5), timedelta(days=30)
MOST_OPEN = 100
NOTE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the person will be, and how long the link waits for them."""

    role: str
    sees_payloads: bool = True
    note: str = ""
    life: timedelta = LIFE


@dataclass(frozen=True, slots=True)
class Made:
    """A link that was just made; ``url`` is shown now and never again."""

    id: str
    url: str
    expires_at: datetime


def invite(rt: Runtime, actor: Actor, wanted: Invitation) -> Made:
    """A new invitation. Raises ``Refused`` (invalid-user), or ``Conflict``: too many are open, or passwords are off."""
    demand(actor)
    _must_take_passwords(rt)
    _check(wanted)
    token, now = secrets.token_urlsafe(32), rt.clock()
    row = {
        "token_hash": fingerprint(token),
        "purpose": INVITATION,
        "id": rt.new_id("inv"),
        "role": wanted.role,
        "sees_payloads": wanted.sees_payloads,
        "note": wanted.note.strip(),
        "created_by": actor.id,
        "created_at": now,
        "expires_at": now + wanted.life,
    }
    with rt.db.write() as conn:
        if one_time_links.count_open(conn, INVITATION, now) >= MOST_OPEN:
            raise Conflict(f"{MOST_OPEN} invitations are open; withdraw some that nobody will use.")
        one_time_links.add_link(conn, row)
        _note(rt, conn, actor, "invitation.created", row)
    return Made(str(row["id"]), f"{rt.settings.base_url}/invitation?token={token}", now + wanted.life)


def list_open(rt: Runtime) -> Sequence[Any]:
    """Invitations that can still be used, newest first; bounded by how many there can be."""
    with rt.db.read() as conn:
        return one_time_links.list_open(conn, INVITATION, rt.clock(), MOST_OPEN)


def withdraw(rt: Runtime, actor: Actor, link_id: str) -> None:
    """Make an open invitation worthless. Raises ``NotFound``, or ``Conflict`` when it is open no more."""
    demand(actor)
    with rt.db.write() as conn:
        row = one_time_links.revoke_link(conn, link_id, INVITATION, rt.clock())
        _note(rt, conn, actor, "invitation.withdrawn", row._asdict())


def find(rt: Runtime, token: str) -> Any:
    """The invitation behind a token, open or not; None when it is not known."""
    with rt.db.read() as conn:
        return one_time_links.find_link(conn, fingerprint(token), INVITATION)


def is_open(rt: Runtime, row: Any) -> bool:
    """Whether a link that was found can still be used."""
    return row is not None and row.used_at is None and row.revoked_at is None and row.expires_at > rt.clock()


def accept(rt: Runtime, token: str, username: str, password: str, visit: Visit) -> str:
    """Become a user; answers the id. The link is used up with it: of two who race, one gets ``NotFound``.

    Raises ``Refused`` or ``Conflict`` (the name is taken), and then the link is still good.
    """
    _must_take_passwords(rt)
    user = prepare_user(rt, username, password, USER_ROLES[0])
    with rt.db.write() as conn:
        link = one_time_links.use_link(conn, fingerprint(token), INVITATION, rt.clock(), user["id"])
        user |= {"role": link.role, "sees_payloads": link.sees_payloads}
        actor = Actor("user", user["id"], user["username"], link.role, ip=visit.ip, request_id=visit.request_id)
        add_user(rt, conn, actor, user)
        _note(rt, conn, actor, "invitation.accepted", link._asdict())
    return str(user["id"])


def _must_take_passwords(rt: Runtime) -> None:
    if not rt.settings.password_sign_in:
        raise Conflict("Nobody signs in with a password here: people come by the identity provider.")


def _check(wanted: Invitation) -> None:
    check_role(wanted.role, USER_ROLES)
    faults = []
    if len(wanted.note.strip()) > NOTE_CHARS or not wanted.note.strip().isprintable():
        faults.append(Fault("/note", "invalid", f"Use one line of {NOTE_CHARS} characters at most."))
    if not SHORTEST <= wanted.life <= LONGEST:
        faults.append(Fault("/life", "out-of-range", "An invitation is good for 5 minutes to 30 days."))
    if faults:
        raise invalid_user(faults)


def _note(rt: Runtime, conn: Connection, actor: Actor, action: str, row: dict[str, Any]) -> None:
    details = {"role": row["role"], "sees_payloads": row["sees_payloads"]}
    note(rt, conn, actor, action, "invitation", row["id"], row["note"] or "", details)
