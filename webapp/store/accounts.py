"""People, their sessions and API keys. Secrets are never here: only their hashes are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from webapp.domain.errors import Conflict, NotFound
from webapp.store.one_time_links import add_link as add_link
from webapp.store.tables import api_keys, audit, sessions, users

FAILURES_READ = 500  # more than any limit that is asked about


# People


def find_user(conn: Connection, username: str) -> Row[Any] | None:
    """By name, disabled or not."""
    return conn.execute(select(users).where(users.c.username == username)).one_or_none()


def get_user(conn: Connection, user_id: str) -> Row[Any]:
    """By id, or ``NotFound``."""
    row = conn.execute(select(users).where(users.c.id == user_id)).one_or_none()
    if row is None:
        raise NotFound("There is no such user.")
    return row


def list_users(conn: Connection, limit: int = 1000) -> Sequence[Row[Any]]:
    """Everybody, by name."""
    return conn.execute(select(users).order_by(users.c.username).limit(limit)).all()


def has_users(conn: Connection) -> bool:
    """Whether anybody was ever created."""
    return conn.execute(select(users.c.id).limit(1)).first() is not None


def lock_admins(conn: Connection) -> list[str]:
    """Ids of the administrators who may sign in; locked, so that two of them cannot remove each other."""
    admins = select(users.c.id).where(users.c.role == "admin", users.c.disabled_at.is_(None)).order_by(users.c.id)
    return list(conn.execute(admins.with_for_update()).scalars())


def add_user(conn: Connection, row: Mapping[str, Any]) -> None:
    """Insert, or ``Conflict`` when the name is taken (also by somebody who was faster)."""
    insert = (sqlite if conn.dialect.name == "sqlite" else postgresql).insert(users)
    statement = insert.on_conflict_do_nothing(index_elements=["username"]).returning(users.c.id)
    if conn.execute(statement, dict(row)).first() is None:
        raise Conflict("This username is taken.")


def change_user(conn: Connection, user_id: str, **values: Any) -> None:
    """Set columns of one user."""
    conn.execute(update(users).where(users.c.id == user_id).values(**values))


# Sessions


def add_session(conn: Connection, row: Mapping[str, Any]) -> None:
    """A signed-in browser."""
    conn.execute(sessions.insert(), dict(row))


def find_session(conn: Connection, session_id: str, *, now: datetime, idle_since: datetime) -> Row[Any] | None:
    """The living session with its user's name and role; None when it ended, idled out or the user is disabled."""
    return conn.execute(
        select(sessions, users.c.username, users.c.role, users.c.sees_payloads)
        .join(users, users.c.id == sessions.c.user_id)
        .where(
            sessions.c.id == session_id,
            sessions.c.expires_at > now,
            sessions.c.seen_at > idle_since,
            users.c.disabled_at.is_(None),
        )
    ).one_or_none()


def touch_session(conn: Connection, session_id: str, now: datetime) -> None:
    """It was used."""
    conn.execute(update(sessions).where(sessions.c.id == session_id, sessions.c.seen_at < now).values(seen_at=now))


def delete_session(conn: Connection, session_id: str) -> bool:
    """Whether it was there."""
    return conn.execute(delete(sessions).where(sessions.c.id == session_id)).rowcount == 1


def delete_sessions_of(conn: Connection, user_id: str, *, but: str = "") -> int:
    """End every session of a user, except one."""
    return conn.execute(delete(sessions).where(sessions.c.user_id == user_id, sessions.c.id != but)).rowcount


def sessions_of(
    conn: Connection, user_id: str, *, now: datetime, idle_since: datetime, limit: int = 100
) -> Sequence[Row[Any]]:
    """The living sessions of a user, last used first."""
    mine = select(sessions).where(
        sessions.c.user_id == user_id, sessions.c.expires_at > now, sessions.c.seen_at > idle_since
    )
    return conn.execute(mine.order_by(sessions.c.seen_at.desc(), sessions.c.id).limit(limit)).all()


def prune_sessions(conn: Connection, *, now: datetime, idle_since: datetime) -> int:
    """Forget those that ended by themselves."""
    ended = or_(sessions.c.expires_at <= now, sessions.c.seen_at <= idle_since)
    return conn.execute(delete(sessions).where(ended)).rowcount


def recent_failures(
    conn: Connection, *, action: str, since_id: str, target_id: str, ip: str
) -> tuple[list[datetime], list[datetime]]:
    """Times of failed sign-ins since that audit id, newest first: (of this account, from this address)."""
    rows = conn.execute(
        select(audit.c.at, audit.c.target_id, audit.c.ip)
        .where(
            audit.c.action == action,
            audit.c.id >= since_id,
            or_(audit.c.target_id == target_id, audit.c.ip == ip),
        )
        .order_by(audit.c.id.desc())
        .limit(FAILURES_READ)
    ).all()
    return [row.at for row in rows if row.target_id == target_id], [row.at for row in rows if row.ip == ip]


# API keys


def add_key(conn: Connection, row: Mapping[str, Any]) -> None:
    """A new key; only its hash is kept."""
    conn.execute(api_keys.insert(), dict(row))


def find_key(conn: Connection, secret_hash: str, now: datetime) -> Row[Any] | None:
    """The key whose secret, or the one before it while that serves, has that hash; None when it was revoked or expired."""
    key = api_keys.c
    before = and_(key.previous_hash == secret_hash, key.previous_until > now)
    return conn.execute(
        select(api_keys).where(
            or_(key.secret_hash == secret_hash, before),
            key.revoked_at.is_(None),
            or_(key.expires_at.is_(None), key.expires_at > now),
        )
    ).one_or_none()


def get_key(conn: Connection, key_id: str) -> Row[Any]:
    """By id, revoked or not. Raises ``NotFound``."""
    row = conn.execute(select(api_keys).where(api_keys.c.id == key_id)).one_or_none()
    if row is None:
        raise NotFound("There is no such API key.")
    return row


def lock_key(conn: Connection, key_id: str) -> Row[Any]:
    """A key in force, locked. Raises ``NotFound`` or, when it was revoked, ``Conflict``."""
    row = conn.execute(select(api_keys).where(api_keys.c.id == key_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound("There is no such API key.")
    if row.revoked_at is not None:
        raise Conflict("This API key is revoked.")
    return row


def change_key(conn: Connection, key_id: str, values: Mapping[str, Any]) -> None:
    """Set columns of a key that is locked."""
    conn.execute(update(api_keys).where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None)).values(**values))


def list_keys(conn: Connection, limit: int = 1000, before: str = "") -> Sequence[Row[Any]]:
    """Keys, newest first; revoked ones too."""
    found = select(api_keys).order_by(api_keys.c.id.desc()).limit(limit)
    return conn.execute(found.where(api_keys.c.id < before) if before else found).all()


def revoke_key(conn: Connection, key_id: str, now: datetime) -> Row[Any]:
    """Revoke once: ``NotFound`` when there is none, ``Conflict`` when it is revoked already."""
    row = conn.execute(
        update(api_keys)
        .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(api_keys.c.id, api_keys.c.name)
    ).one_or_none()
    if row is not None:
        return row
    if conn.execute(select(api_keys.c.id).where(api_keys.c.id == key_id)).first() is None:
        raise NotFound("There is no such API key.")
    raise Conflict("This API key is revoked already.")


def limit_key(conn: Connection, key_id: str, rate_limit: int | None) -> Row[Any]:
    """Change the limit of a key that is in force. Raises ``NotFound``."""
    changed = (
        update(api_keys)
        .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        .values(rate_limit=rate_limit)
        .returning(api_keys.c.id, api_keys.c.name)
    )
    row = conn.execute(changed).one_or_none()
    if row is None:
        raise NotFound("There is no such API key in force.")
    return row


def touch_key(conn: Connection, key_id: str, now: datetime) -> None:
    """It was used."""
    conn.execute(update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=now))
