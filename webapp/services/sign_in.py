"""Signing in and out, and who a request comes from: sessions of people, keys of programs.

Who has a second factor is half in after the password: ``Pending`` says so, and nothing is open to them until
``finish`` has seen a code. Failures of either half are limited by ``attempts``.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from webapp.domain.access import Actor, Role
from webapp.domain.errors import NotFound, Unavailable
from webapp.domain.key_limits import UNLIMITED, KeyLimits
from webapp.domain.second_factor import fitting_step, recovery_hash
from webapp.runtime import Runtime
from webapp.services import attempts, trail, vault
from webapp.services.accounts import clean_username, fingerprint
from webapp.services.attempts import FAILED as FAILED
from webapp.services.attempts import FAILURES as FAILURES
from webapp.services.attempts import SignInFailed
from webapp.services.attempts import TooManyFailures as TooManyFailures
from webapp.services.attempts import Visit as Visit
from webapp.services.passwords import hash_password, is_outdated, verify_password
from webapp.store import accounts
from webapp.store import second_factor as factors
from webapp.store.audit import Target

log = logging.getLogger(__name__)

TOUCH_EVERY = timedelta(minutes=1)
KEY_CACHE_S = 1.0
KEYS_CACHED = 10_000
WRONG_CODE = "The code is wrong, was used already or is too old."
UNUSABLE = "!"  # begins what no password fits


@dataclass(frozen=True, slots=True)
class Admitted:
    """Signed in, by the token of a new session."""

    token: str


@dataclass(frozen=True, slots=True)
class Pending:
    """The first proof was right; a code is asked for. ``proof`` is worth nothing once either of them is replaced."""

    user_id: str
    proof: str
    by: str


# People


def sign_in(rt: Runtime, username: str, password: str, visit: Visit) -> Admitted | Pending:
    """By name and password. Raises ``SignInFailed`` or ``TooManyFailures``; each failure is audited."""
    if not rt.settings.password_sign_in:
        raise SignInFailed("Signing in with a password is switched off here.")
    username = clean_username(username)[:64].replace("\x00", "")
    with attempts.in_turn:
        with rt.db.read() as conn:
            attempts.check(rt, conn, username, visit.ip)
            user = accounts.find_user(conn, username)
        if not verify_password(usable_hash(user), password) or user is None:
            attempts.note(rt, attempts.nobody(visit), username)
            raise SignInFailed("The username or the password is wrong.")
    upgraded = hash_password(password) if is_outdated(user.password_hash) else None
    with rt.db.write() as conn:
        if upgraded is not None:
            accounts.change_user(conn, user.id, password_hash=upgraded)
            user = accounts.get_user(conn, user.id)
        return admit(rt, conn, user, visit)


def finish(rt: Runtime, pending: Pending, code: str, visit: Visit) -> Admitted:
    """The second half: a code of the app, or a recovery code. Raises ``SignInFailed`` or ``TooManyFailures``."""
    with attempts.in_turn:
        with rt.db.read() as conn:
            user = pending_user(conn, pending)
            attempts.check(rt, conn, user.username, visit.ip)
        with rt.db.write() as conn:
            used = _use_code(rt, conn, user, code)
            if used:
                return Admitted(start_session(rt, conn, user, visit, {"by": pending.by, "second_factor": used}))
        attempts.note(rt, attempts.nobody(visit), user.username, {"second_factor": "wrong"})
    raise SignInFailed(WRONG_CODE)


def pending_user(conn: Connection, pending: Pending) -> Any:
    """Who is half in. Raises ``SignInFailed`` when they have to begin again."""
    try:
        user = accounts.get_user(conn, pending.user_id)
    except NotFound:
        user = None
    if user is None or user.disabled_at or user.totp_since is None or _proof_of(user) != pending.proof:
        raise SignInFailed("This sign-in cannot go on: begin again.")
    return user


def admit(rt: Runtime, conn: Connection, user: Any, visit: Visit, by: str = "password") -> Admitted | Pending:
    """A session for somebody who gave the first proof, unless a second one is asked for."""
    if user.totp_since is not None:
        return Pending(user.id, _proof_of(user), by)
    return Admitted(start_session(rt, conn, user, visit, None if by == "password" else {"by": by}))


def open_session(rt: Runtime, user_id: str, visit: Visit) -> str:
    """The token of a new session for somebody who proved who they are in another way."""
    with rt.db.write() as conn:
        return start_session(rt, conn, accounts.get_user(conn, user_id), visit)


def usable_hash(user: Any) -> str | None:
    """What a password of theirs must fit; None when none does. Both take as long to check."""
    if user is None or user.disabled_at is not None or user.password_hash.startswith(UNUSABLE):
        return None
    return str(user.password_hash)


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


def start_session(
    rt: Runtime, conn: Connection, user: Any, visit: Visit, details: Mapping[str, Any] | None = None
) -> str:
    """The token of a new session, audited."""
    token, now = secrets.token_urlsafe(32), rt.clock()
    actor = Actor("user", user.id, user.username, user.role, ip=visit.ip, request_id=visit.request_id)
    accounts.prune_sessions(conn, now=now, idle_since=now - timedelta(hours=rt.settings.session_idle_h))
    accounts.change_user(conn, user.id, signed_in_at=now)
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
    _note(rt, conn, actor, "user.signed_in", user.id, user.username, details)
    return token


def _proof_of(user: Any) -> str:
    """Changes with the password, the link to a provider and the second factor."""
    return fingerprint(f"{user.password_hash} {user.oidc_subject} {user.totp_since} {user.totp_sealed!r}")[:32]


def _use_code(rt: Runtime, conn: Connection, user: Any, code: str) -> str:
    """What kind of code it was, used up by now; empty when it does not count."""
    if re.search(r"[a-z]", code, re.IGNORECASE):
        used = recovery_hash(user.id, code)
        left = [one for one in user.recovery if one != used]
        fits = len(left) < len(user.recovery) and factors.replace_recovery(conn, user.id, user.recovery, left)
        return "recovery code" if fits else ""
    place = factors.place_of(user.id)
    secret = vault.unseal(rt.settings, user.totp_sealed, bound_to=place)
    step = fitting_step(secret, code, rt.clock(), user.totp_step)
    if step is None or not factors.take_step(conn, user.id, user.totp_sealed, step):
        return ""
    if not vault.is_current(rt.settings, user.totp_sealed):
        accounts.change_user(conn, user.id, totp_sealed=vault.seal(rt.settings, secret, bound_to=place))
    return "code"


def _note(
    rt: Runtime,
    conn: Connection,
    actor: Actor,
    action: str,
    target_id: str,
    name: str,
    details: Mapping[str, Any] | None = None,
) -> None:
    trail.leave(rt, conn, actor, action, Target("user", target_id, name), details)


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
