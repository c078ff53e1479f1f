"""Signing in and out, and who a request comes from: sessions of people, keys of programs.

Failed sign-ins are limited per account and per address by counting audit rows, so the limit holds across
processes and restarts. Sign-ins of one process queue up, so that a burst cannot slip past the count.
"""

from __future__ import annotations

import logging
import math
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from webapp.domain.access import Actor, Role
from webapp.domain.errors import HubError, Unavailable
from webapp.domain.ids import first_id_at
from webapp.domain.key_limits import UNLIMITED, KeyLimits
from webapp.runtime import Runtime
from webapp.services import trail
from webapp.services.accounts import clean_username, fingerprint
from webapp.services.passwords import hash_password, is_outdated, verify_password
from webapp.store import accounts
from webapp.store.audit import Target

log = logging.getLogger(__name__)

FAILED = "user.sign_in_failed"
FAILURES = 10
FAILURE_WINDOW = timedelta(minutes=15)
TOUCH_EVERY = timedelta(minutes=1)
KEY_CACHE_S = 1.0
KEYS_CACHED = 10_000

_one_at_a_time = threading.Lock()


class SignInFailed(HubError):
    """Wrong name or password; which of them is not told."""

    slug, status, title = "sign-in-failed", 401, "Sign-in failed"


class TooManyFailures(HubError):
    """The account or the address has failed too often; ``retry_after_s`` says how long to wait."""

    slug, status, title = "rate-limited", 429, "Too many attempts"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"Too many failed sign-ins. Wait {math.ceil(retry_after_s / 60)} minutes, then try again.")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Visit:
    """Where a request comes from."""

    ip: str
    user_agent: str
    request_id: str


# People


def sign_in(rt: Runtime, username: str, password: str, visit: Visit) -> str:
    """The token of a new session. Raises ``SignInFailed`` or ``TooManyFailures``; each failure is audited."""
    username = clean_username(username)[:64].replace("\x00", "")
    with _one_at_a_time:
        with rt.db.read() as conn:
            _check_limits(rt, conn, username, visit.ip)
            user = accounts.find_user(conn, username)
        encoded = None if user is None or user.disabled_at is not None else user.password_hash
        if not verify_password(encoded, password) or user is None:
            _note_failure(rt, username, visit)
            raise SignInFailed("The username or the password is wrong.")
    upgraded = hash_password(password) if is_outdated(user.password_hash) else None
    return _open_session(rt, user, visit, upgraded)


def open_session(rt: Runtime, user_id: str, visit: Visit) -> str:
    """The token of a new session for somebody who proved who they are in another way."""
    with rt.db.read() as conn:
        user = accounts.get_user(conn, user_id)
    return _open_session(rt, user, visit, None)


def sign_out(rt: Runtime, actor: Actor, token: str) -> None:
    """End the session; afterwards its cookie is worth nothing."""
    with rt.db.write() as conn:
        if accounts.delete_session(conn, fingerprint(token)):
            _note(rt, conn, actor, "user.signed_out", actor.id, actor.name)


def find_actor(rt: Runtime, token: str, visit: Visit) -> Actor | None:
    """The user whose living session this is. Marks the session as used, at most once a minute."""
    session_id, now = fingerprint(token), rt.clock()
    idle_since = now - timedelta(hours=rt.settings.session_idle_h)
    with rt.db.read() as conn:
        row = accounts.find_session(conn, session_id, now=now, idle_since=idle_since)
    if row is None:
        return None
    if row.seen_at <= now - TOUCH_EVERY:
        with rt.db.write() as conn:
            accounts.touch_session(conn, session_id, now)
    return Actor(
        "user",
        row.user_id,
        row.username,
        row.role,
        ip=visit.ip,
        request_id=visit.request_id,
        sees_payloads=row.sees_payloads,
    )


def _open_session(rt: Runtime, user: Any, visit: Visit, password_hash: str | None) -> str:
    token, now = secrets.token_urlsafe(32), rt.clock()
    actor = Actor("user", user.id, user.username, user.role, ip=visit.ip, request_id=visit.request_id)
    with rt.db.write() as conn:
        accounts.prune_sessions(conn, now=now, idle_since=now - timedelta(hours=rt.settings.session_idle_h))
        renewed = {} if password_hash is None else {"password_hash": password_hash}
        accounts.change_user(conn, user.id, signed_in_at=now, **renewed)
        accounts.add_session(
            conn,
            {
                "id": fingerprint(token),
                "user_id": user.id,
                "created_at": now,
                "seen_at": now,
                "expires_at": now + timedelta(days=rt.settings.session_days),
                "ip": visit.ip,
                "user_agent": visit.user_agent[:300],
            },
        )
        _note(rt, conn, actor, "user.signed_in", user.id, user.username)
    return token


def _check_limits(rt: Runtime, conn: Connection, username: str, ip: str) -> None:
    now = rt.clock()
    since_id = first_id_at("aud", int((now - FAILURE_WINDOW).timestamp() * 1000))
    failures = accounts.recent_failures(conn, action=FAILED, since_id=since_id, target_id=username, ip=ip)
    for all_times in failures:
        times = [at for at in all_times if at > now - FAILURE_WINDOW]
        if len(times) >= FAILURES:  # free again when the tenth newest leaves the window
            wait = times[FAILURES - 1] + FAILURE_WINDOW - now
            raise TooManyFailures(max(1, math.ceil(wait.total_seconds())))


def _note_failure(rt: Runtime, username: str, visit: Visit) -> None:
    nobody = Actor("anonymous", "anonymous", "somebody", ip=visit.ip, request_id=visit.request_id)
    with rt.db.write() as conn:
        _note(rt, conn, nobody, FAILED, username, username)


def _note(rt: Runtime, conn: Connection, actor: Actor, action: str, target_id: str, name: str) -> None:
    trail.leave(rt, conn, actor, action, Target("user", target_id, name))


# Programs


@dataclass(frozen=True, slots=True)
class Key:
    """What a request needs to know of an API key."""

    id: str
    name: str
    role: Role
    rate_limit: int | None = None  # requests a minute, when it has a limit of its own
    limits: KeyLimits = UNLIMITED

    def acting(self, ip: str, request_id: str) -> Actor:
        """Who asks when this key is sent."""
        return Actor(
            "key",
            self.id,
            self.name,
            self.role,
            ip,
            request_id,
            sees_payloads=self.limits.sees_payloads,
            scopes=self.limits.scopes,
            event_types=self.limits.event_types,
            sources=self.limits.sources,
        )


def _key_of(row: Any) -> Key:
    scopes, types, sources = (one and tuple(one) for one in (row.scopes, row.event_types, row.sources))
    limits = KeyLimits(scopes, types, sources, row.sees_payloads, row.expires_at)
    return Key(row.id, row.name, row.role, row.rate_limit, limits)


class KeyRing:
    """API keys by their secret, remembered for a second: a revoked key is refused at most that much later."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._known: dict[str, tuple[float, Key]] = {}
        self._touched: dict[str, datetime] = {}

    def find(self, secret: str) -> Key | None:
        """The key, or None when it is not known or revoked."""
        found = self._known.get(secret)
        now = time.monotonic()
        if found is not None and now - found[0] < KEY_CACHE_S:
            return found[1]
        with self._rt.db.read() as conn:
            row = accounts.find_key(conn, fingerprint(secret), self._rt.clock())
        if row is None:
            self._known.pop(secret, None)
            return None
        if len(self._known) >= KEYS_CACHED:
            self._known.clear()
        key = _key_of(row)
        self._known[secret] = (now, key)
        if row.last_used_at is not None:
            self._touched.setdefault(key.id, row.last_used_at)
        return key

    def is_stale(self, key: Key) -> bool:
        """Whether its use should be written down (at most once a minute); says yes once."""
        now = self._rt.clock()
        last = self._touched.get(key.id)
        if last is not None and now - last < TOUCH_EVERY:
            return False
        self._touched[key.id] = now
        return True

    def touch(self, key: Key) -> None:
        """Write down that the key was used. Best effort: no request fails over it."""
        try:
            with self._rt.db.write() as conn:
                accounts.touch_key(conn, key.id, self._rt.clock())
        except Unavailable as error:
            log.warning("last use of a key not kept: %s", error, extra={"action": "key_touch_failed"})
