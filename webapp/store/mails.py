"""Mail addresses of users, and mails that are due. Sends are taken and ended as in ``webapp.store.pushes``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, func, select, update

from webapp.store import pushes
from webapp.store import tables as t
from webapp.store.notifications import USERS
from webapp.store.tables import inbox, mail_addresses, notification_sends, notifications

CHANNELS = ("confirm", "email")


def put_address(conn: Connection, row: Mapping[str, Any]) -> None:
    """In place of the one before, whose links lead nowhere from now on."""
    drop_address(conn, row["user_id"])
    conn.execute(mail_addresses.insert(), row)


def drop_address(conn: Connection, user_id: str) -> bool:
    """False when there was none."""
    return bool(conn.execute(delete(mail_addresses).where(mail_addresses.c.user_id == user_id)).rowcount)


def find_address(conn: Connection, user_id: str) -> Any:
    """Of that user, or ``None``."""
    return conn.execute(select(mail_addresses).where(mail_addresses.c.user_id == user_id)).first()


def owner_of(conn: Connection, address_id: str) -> Any:
    """The address of that id with ``username`` of whose it is, or ``None``."""
    a, u = mail_addresses.c, t.users.c
    query = select(mail_addresses, u.username).join(t.users, u.id == a.user_id).where(a.id == address_id)
    return conn.execute(query).first()


def confirm(conn: Connection, address_id: str, user_id: str, now: datetime) -> bool:
    """From asked for to confirmed; False when it is another's, too late, or confirmed already."""
    a = mail_addresses.c
    asked = update(mail_addresses).where(
        a.id == address_id, a.user_id == user_id, a.confirmed_at.is_(None), a.expires_at > now
    )
    return bool(conn.execute(asked.values(confirmed_at=now)).rowcount)


def stop(conn: Connection, address_id: str, now: datetime) -> bool:
    """No more mail to it; False when none went there anyway."""
    a = mail_addresses.c
    going = update(mail_addresses).where(a.id == address_id, a.confirmed_at.is_not(None), a.stopped_at.is_(None))
    return bool(conn.execute(going.values(stopped_at=now)).rowcount)


def resume(conn: Connection, user_id: str) -> bool:
    """Mail goes there again."""
    a = mail_addresses.c
    stopped = update(mail_addresses).where(a.user_id == user_id, a.stopped_at.is_not(None))
    return bool(conn.execute(stopped.values(stopped_at=None)).rowcount)


def count_asked(conn: Connection, user_id: str, since: datetime) -> int:
    """How many times the user asked for a mail that confirms an address."""
    s = notification_sends.c
    asked = select(func.count()).where(s.user_id == user_id, s.channel == "confirm", s.at > since)
    return conn.execute(asked).scalar_one()


def addresses_of(conn: Connection) -> dict[str, str]:
    """The address id of each user who gets mail."""
    a = mail_addresses.c
    going = select(a.user_id, a.id).where(a.confirmed_at.is_not(None), a.stopped_at.is_(None)).limit(USERS)
    return {row.user_id: row.id for row in conn.execute(going)}


def any_due(conn: Connection, now: datetime, rested: datetime) -> bool:
    """A look before the write lock is taken."""
    return any(pushes.any_due(conn, now, channel, _not_busy(rested)) for channel in CHANNELS)


def take_due(conn: Connection, now: datetime, until: datetime, rested: datetime, limit: int) -> list[Any]:
    """What is due to addresses that had no mail since ``rested``, leased until then."""
    found: list[Any] = []
    for channel in CHANNELS:
        found += pushes.take_due(conn, now, until, channel, limit, _not_busy(rested))
    return found


def recipients(conn: Connection, ids: Sequence[str]) -> dict[str, Any]:
    """Addresses that mail may go to, of users who may sign in: with ``username`` and ``preferences``."""
    a, u = mail_addresses.c, t.users.c
    query = (
        select(mail_addresses, u.username, u.preferences)
        .join(t.users, u.id == a.user_id)
        .where(a.id.in_(ids), a.stopped_at.is_(None), u.disabled_at.is_(None))
    )
    return {row.id: row for row in conn.execute(query)}


def with_states(conn: Connection, user_id: str, ids: Sequence[str]) -> dict[str, Any]:
    """The notifications of those ids, each with the ``state`` that it has for that user."""
    n = notifications.c
    mine = (inbox.c.notification_id == n.id) & (inbox.c.user_id == user_id)
    query = select(notifications, inbox.c.state).join(inbox, mine).where(n.id.in_(ids))
    return {row.id: row for row in conn.execute(query)}


def note_use(conn: Connection, address_id: str, now: datetime) -> None:
    """The server took a mail to it."""
    conn.execute(update(mail_addresses).where(mail_addresses.c.id == address_id).values(used_at=now, error=None))


def note_trouble(conn: Connection, address_id: str, error: str) -> None:
    """The server did not take it."""
    conn.execute(update(mail_addresses).where(mail_addresses.c.id == address_id).values(error=error))


def _not_busy(rested: datetime) -> Any:
    busy: Select[Any] = select(mail_addresses.c.id).where(mail_addresses.c.used_at > rested)
    return notification_sends.c.target.not_in(busy)
