"""Links that let somebody in once: the first administrator, invitations, new passwords. Only hashes of tokens are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select, update

from webapp.domain.errors import Conflict, NotFound
from webapp.store.tables import one_time_links, users

link = one_time_links.c


def _is_open(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return link.used_at.is_(None), link.revoked_at.is_(None), link.expires_at > now


def add_link(conn: Connection, row: Mapping[str, Any]) -> None:
    """A new link; only the hash of its token is kept."""
    conn.execute(one_time_links.insert(), dict(row))


def find_link(conn: Connection, token_hash: str, purpose: str) -> Row[Any] | None:
    """Open or not, with the name of the user whose password it resets; None when it is not known (any more)."""
    found = (
        select(one_time_links, users.c.username)
        .outerjoin(users, users.c.id == link.user_id)
        .where(link.token_hash == token_hash, link.purpose == purpose)
    )
    return conn.execute(found).one_or_none()


def is_link_open(conn: Connection, token_hash: str, purpose: str, now: datetime) -> bool:
    """Whether the link can still be used."""
    found = select(link.token_hash).where(link.token_hash == token_hash, link.purpose == purpose, *_is_open(now))
    return conn.execute(found).first() is not None


def use_link(conn: Connection, token_hash: str, purpose: str, now: datetime, user_id: str | None = None) -> Row[Any]:
    """Use an open link up, for that user. Of two who race, the second gets ``NotFound``."""
    whose = {} if user_id is None else {"user_id": user_id}
    used = (
        update(one_time_links)
        .where(link.token_hash == token_hash, link.purpose == purpose, *_is_open(now))
        .values(used_at=now, **whose)
        .returning(one_time_links)
    )
    row = conn.execute(used).one_or_none()
    if row is None:
        raise NotFound("This link was used already, was withdrawn, has expired or never existed.")
    return row


def use_links(conn: Connection, purpose: str, now: datetime) -> set[str]:
    """Use up all open links of that purpose at once; answers their hashes. Of two who race, the second gets none."""
    used = (
        update(one_time_links)
        .where(link.purpose == purpose, *_is_open(now))
        .values(used_at=now)
        .returning(link.token_hash)
    )
    return set(conn.execute(used).scalars())


def list_open(conn: Connection, purpose: str, now: datetime, limit: int) -> Sequence[Row[Any]]:
    """Links that can still be used, newest first."""
    found = select(one_time_links).where(link.purpose == purpose, *_is_open(now))
    return conn.execute(found.order_by(link.id.desc()).limit(limit)).all()


def count_open(conn: Connection, purpose: str, now: datetime) -> int:
    """How many can still be used."""
    found = select(func.count()).select_from(one_time_links).where(link.purpose == purpose, *_is_open(now))
    return int(conn.execute(found).scalar_one())


def revoke_link(conn: Connection, link_id: str, purpose: str, now: datetime) -> Row[Any]:
    """Withdraw an open link. Raises ``NotFound``, or ``Conflict`` when it is open no more."""
    revoked = (
        update(one_time_links)
        .where(link.id == link_id, link.purpose == purpose, *_is_open(now))
        .values(revoked_at=now)
        .returning(one_time_links)
    )
    row = conn.execute(revoked).one_or_none()
    if row is not None:
        return row
    if conn.execute(select(link.id).where(link.id == link_id, link.purpose == purpose)).first() is None:
        raise NotFound("There is no such link.")
    raise Conflict("This link was used, withdrawn or has expired already.")


def revoke_links_for(conn: Connection, user_id: str, purpose: str, now: datetime) -> list[str]:
    """Withdraw every open link of that purpose that is for this user; answers their ids."""
    revoked = (
        update(one_time_links)
        .where(link.user_id == user_id, link.purpose == purpose, *_is_open(now))
        .values(revoked_at=now)
        .returning(link.id)
    )
    return [str(one) for one in conn.execute(revoked).scalars()]


def revoke_made_by(conn: Connection, actor_id: str, now: datetime) -> list[str]:
    """Withdraw every open link that this administrator made; answers their ids."""
    revoked = (
        update(one_time_links)
        .where(link.created_by == actor_id, *_is_open(now))
        .values(revoked_at=now)
        .returning(link.id)
    )
    return [str(one) for one in conn.execute(revoked).scalars()]


def drop_expired_links(conn: Connection, now: datetime) -> None:
    """Forget links that nobody used in time."""
    conn.execute(delete(one_time_links).where(link.expires_at <= now, link.used_at.is_(None)))
