"""Setting up the second factor, switching it off, recovery codes; and an administrator's way out when all is lost.

Whoever changes it proves the password again, within the limits that signing in has. What is shown once (the
secret, recovery codes) is handed back by the call that makes it, and never logged or audited.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from webapp.domain import second_factor as codes
from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, Fault, Forbidden, Refused
from webapp.runtime import Runtime
from webapp.services import attempts, trail, vault
from webapp.services.passwords import verify_password
from webapp.services.sign_in import usable_hash
from webapp.store import accounts
from webapp.store import second_factor as factors
from webapp.store.audit import Target

ISSUER = "Signalbox"


@dataclass(frozen=True, slots=True)
class State:
    """How somebody proves who they are."""

    since: datetime | None
    codes_left: int
    is_demanded: bool
    has_password: bool
    is_linked: bool

    @property
    def runs_low(self) -> bool:
        """Whether it is time for new recovery codes."""
        return self.since is not None and self.codes_left <= codes.FEW_CODES


@dataclass(frozen=True, slots=True)
class Offer:
    """A secret that counts once a code of it was seen."""

    secret: str
    link: str


def state_of(rt: Runtime, actor: Actor) -> State:
    """Of whoever asks."""
    with rt.db.read() as conn:
        user = accounts.get_user(conn, actor.id)
    return State(
        user.totp_since,
        len(user.recovery),
        codes.is_demanded(rt.settings.second_factor, user.role),
        usable_hash(user) is not None,
        user.oidc_subject is not None,
    )


def must_set_up(rt: Runtime, actor: Actor) -> bool:
    """Whether they have to have a second factor before anything else."""
    if not codes.is_demanded(rt.settings.second_factor, actor.role):
        return False
    with rt.db.read() as conn:
        return not factors.is_on(conn, actor.id)


def begin(rt: Runtime, actor: Actor, password: str) -> Offer:
    """A fresh secret, not asked for yet."""
    user = confirm_password(rt, actor, password)
    secret = codes.secret_of(secrets.token_bytes(codes.SECRET_BYTES))
    sealed = vault.seal(rt.settings, secret, bound_to=factors.place_of(user.id))
    with rt.db.write() as conn:
        if not factors.offer(conn, user.id, sealed):
            raise Conflict("You have a second factor already; switch it off first.")
        _note(rt, conn, actor, "user.second_factor_begun", user)
    return _offer(user, secret)


def offered(rt: Runtime, actor: Actor) -> Offer:
    """What was begun and not confirmed. Raises ``Conflict`` when there is nothing."""
    return _offer(*_unconfirmed(rt, actor)[:2])


def confirm(rt: Runtime, actor: Actor, code: str, *, keep_session: str) -> list[str]:
    """Switch it on; answers the recovery codes. Every other session of theirs ends."""
    user, secret, sealed = _unconfirmed(rt, actor)
    step = codes.fitting_step(secret, code, rt.clock(), None)
    if step is None:
        raise _refused("code", "wrong", "The code does not fit. Is the clock of your phone right?")
    shown = _fresh_codes()
    hashes = [codes.recovery_hash(user.id, one) for one in shown]
    with rt.db.write() as conn:
        if not factors.confirm(conn, user.id, sealed, now=rt.clock(), step=step, recovery=hashes):
            raise Conflict("This was begun anew elsewhere, or is on already. Look again.")
        ended = accounts.delete_sessions_of(conn, user.id, but=keep_session)
        _note(rt, conn, actor, "user.second_factor_on", user, {"sessions_ended": ended})
    return shown


def new_recovery_codes(rt: Runtime, actor: Actor, password: str) -> list[str]:
    """Ten others; those from before are worth nothing any more."""
    user = confirm_password(rt, actor, password)
    shown = _fresh_codes()
    with rt.db.write() as conn:
        hashes = [codes.recovery_hash(user.id, one) for one in shown]
        if not factors.replace_recovery(conn, user.id, user.recovery, hashes):
            raise Conflict("Your second factor changed meanwhile. Look again.")
        _note(rt, conn, actor, "user.recovery_codes_replaced", user)
    return shown


def switch_off(rt: Runtime, actor: Actor, password: str, *, keep_session: str) -> None:
    """The password alone is enough again. Every other session of theirs ends."""
    user = confirm_password(rt, actor, password)
    with rt.db.write() as conn:
        if not factors.switch_off(conn, user.id):
            raise Conflict("You have no second factor.")
        accounts.delete_sessions_of(conn, user.id, but=keep_session)
        _note(rt, conn, actor, "user.second_factor_off", user)


def reset(rt: Runtime, actor: Actor, user_id: str) -> None:
    """Take somebody's second factor away who has lost it, and sign them out everywhere."""
    if not actor.can("administer"):
        raise Forbidden("Only an administrator may do this.")
    if actor.id == user_id:
        raise Conflict("Switch your own off under your name, with your password.")
    with rt.db.write() as conn:
        user = accounts.get_user(conn, user_id)
        if not factors.switch_off(conn, user_id):
            raise Conflict(f"{user.username} has no second factor.")
        ended = accounts.delete_sessions_of(conn, user_id)
        _note(rt, conn, actor, "user.second_factor_reset", user, {"sessions_ended": ended})


def confirm_password(rt: Runtime, actor: Actor, password: str) -> Any:
    """The user, when that is their password. Raises ``Refused`` or ``TooManyFailures``; failures are audited."""
    if actor.kind != "user":
        raise Forbidden("Only a signed-in user has a password.")
    with attempts.in_turn:
        with rt.db.read() as conn:
            user = accounts.get_user(conn, actor.id)
            attempts.check(rt, conn, user.username, actor.ip)
        if verify_password(usable_hash(user), password):
            return user
        attempts.note(rt, actor, user.username, {"password": "asked again"})
    raise _refused("password", "wrong", "This is not your password.")


def _unconfirmed(rt: Runtime, actor: Actor) -> tuple[Any, str, bytes]:
    with rt.db.read() as conn:
        user = accounts.get_user(conn, actor.id)
    if user.totp_sealed is None or user.totp_since is not None:
        raise Conflict("There is nothing to confirm: begin again.")
    return user, vault.unseal(rt.settings, user.totp_sealed, bound_to=factors.place_of(user.id)), user.totp_sealed


def _offer(user: Any, secret: str) -> Offer:
    return Offer(secret, codes.link_of(secret, name=user.username, issuer=ISSUER))


def _fresh_codes() -> list[str]:
    return [codes.recovery_code(secrets.token_bytes(codes.RECOVERY_BYTES)) for _ in range(codes.RECOVERY_CODES)]


def _refused(field: str, kind: str, words: str) -> Refused:
    return Refused("invalid-second-factor", words, faults=[Fault(f"/{field}", kind, words)])


def _note(
    rt: Runtime, conn: Connection, actor: Actor, action: str, user: Any, details: Mapping[str, Any] | None = None
) -> None:
    trail.leave(rt, conn, actor, action, Target("user", user.id, user.username), details)
