"""Who is whom at the identity provider: at most one user for each subject of an issuer."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select, update
from sqlalchemy.exc import IntegrityError

from webapp.domain.errors import Conflict
from webapp.store.tables import users


def find(conn: Connection, subject: str) -> Row[Any] | None:
    """The user whom that subject is."""
    return conn.execute(select(users).where(users.c.oidc_subject == subject)).one_or_none()


def link(conn: Connection, user_id: str, subject: str) -> bool:
    """Link a user who is linked to nobody; False when they are. ``Conflict`` when somebody else is that subject."""
    mine = update(users).where(users.c.id == user_id, users.c.oidc_subject.is_(None)).values(oidc_subject=subject)
    try:
        with conn.begin_nested():
            return conn.execute(mine).rowcount == 1
    except IntegrityError:
        raise Conflict("Somebody else here is linked to this account of the identity provider.") from None


def unlink(conn: Connection, user_id: str) -> bool:
    """Cut the link; False when there was none."""
    mine = update(users).where(users.c.id == user_id, users.c.oidc_subject.is_not(None)).values(oidc_subject=None)
    return conn.execute(mine).rowcount == 1


def set_role(conn: Connection, user_id: str, *, old: str, new: str) -> bool:
    """Another role, if it is still the old one."""
    changed = update(users).where(users.c.id == user_id, users.c.role == old).values(role=new)
    return conn.execute(changed).rowcount == 1
