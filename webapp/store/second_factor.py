"""The second factor of people: its sealed secret, the last step taken, hashes of recovery codes; and one-time ways in.

Each write names what it comes from, so that of two who use one code, one is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, or_, select, update

from webapp.store.tables import one_time_links, users


def place_of(user_id: str) -> str:
    """What the sealed secret is bound to."""
    return f"users/{user_id}/totp"


def is_on(conn: Connection, user_id: str) -> bool:
    """Whether somebody has confirmed a second factor."""
    found = select(users.c.id).where(users.c.id == user_id, users.c.totp_since.is_not(None))
    return conn.execute(found).first() is not None


def offer(conn: Connection, user_id: str, sealed: bytes) -> bool:
    """Keep a secret that counts once it is confirmed; False where one counts already."""
    offered = (
        update(users)
        .where(users.c.id == user_id, users.c.totp_since.is_(None))
        .values(totp_sealed=sealed, totp_step=None)
    )
    return conn.execute(offered).rowcount == 1


def confirm(
    conn: Connection, user_id: str, sealed: bytes, *, now: datetime, step: int, recovery: Sequence[str]
) -> bool:
    """From now on it is asked for; False when this secret is not the one on offer any more."""
    confirmed = (
        update(users)
        .where(users.c.id == user_id, users.c.totp_since.is_(None), users.c.totp_sealed == sealed)
        .values(totp_since=now, totp_step=step, recovery=list(recovery))
    )
    return conn.execute(confirmed).rowcount == 1


def take_step(conn: Connection, user_id: str, sealed: bytes, step: int) -> bool:
    """Use the code of that step up; False when it or a later one was used, or the secret is another one by now."""
    later = or_(users.c.totp_step.is_(None), users.c.totp_step < step)
    taken = (
        update(users)
        .where(users.c.id == user_id, users.c.totp_since.is_not(None), users.c.totp_sealed == sealed, later)
        .values(totp_step=step)
    )
    return conn.execute(taken).rowcount == 1


def replace_recovery(conn: Connection, user_id: str, old: Sequence[str], new: Sequence[str]) -> bool:
    """Other recovery codes in place of those; False when they changed meanwhile or there is no second factor."""
    replaced = (
        update(users)
        .where(users.c.id == user_id, users.c.totp_since.is_not(None), users.c.recovery == list(old))
        .values(recovery=list(new))
    )
    return conn.execute(replaced).rowcount == 1


def switch_off(conn: Connection, user_id: str) -> bool:
    """Forget it with its codes; False when there was none."""
    gone = (
        update(users)
        .where(users.c.id == user_id, users.c.totp_since.is_not(None))
        .values(totp_sealed=None, totp_since=None, totp_step=None, recovery=[])
    )
    return conn.execute(gone).rowcount == 1


def use_link(conn: Connection, token_hash: str, purpose: str, now: datetime) -> str | None:
    """Use up a one-time link; whose it was, or None when it cannot be used (any more)."""
    link = one_time_links.c
    used = (
        update(one_time_links)
        .where(
            link.token_hash == token_hash,
            link.purpose == purpose,
            link.used_at.is_(None),
            link.revoked_at.is_(None),
            link.expires_at > now,
        )
        .values(used_at=now)
        .returning(link.user_id)
    )
    return conn.execute(used).scalar_one_or_none()
