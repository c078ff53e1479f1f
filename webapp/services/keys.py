"""API keys: made, limited, rotated, revoked. A secret is handed back once, by the call that makes it, and kept as its hash."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, get_args

from sqlalchemy import Connection

from webapp.domain.access import Actor, Role
from webapp.domain.errors import Fault, Forbidden, Refused
from webapp.domain.instants import iso_or_none
from webapp.domain.key_limits import UNLIMITED, KeyLimits
from webapp.runtime import Runtime
from webapp.services import trail
from webapp.services.fingerprints import fingerprint
from webapp.store import accounts
from webapp.store.audit import Target

KEY_ROLES: tuple[str, ...] = get_args(Role)
KEY_PREFIX = "sbx_"
KEY_NAME_CHARS = 80
MAX_RATE_LIMIT = 1_000_000
MAX_OVERLAP = timedelta(days=30)
PAGE = 100


def create_key(
    rt: Runtime,
    actor: Actor,
    name: str,
    role: str,
    rate_limit: int | None = None,
    limits: KeyLimits = UNLIMITED,
) -> tuple[str, str]:
    """A new key: ``(id, secret)``. The secret is shown now and can never be shown again.

    ``rate_limit`` is in requests a minute; None: as many as the setting allows.
    """
    _demand(actor)
    name = name.strip()
    check_key(rt, name, role, rate_limit, limits)
    key_id, secret = rt.new_id("key"), _new_secret()
    with rt.db.write() as conn:
        accounts.add_key(
            conn,
            {
                "id": key_id,
                "name": name,
                "hint": secret[:8],
                "secret_hash": fingerprint(secret),
                "role": role,
                "created_at": rt.clock(),
                "created_by": f"{actor.kind}:{actor.id}"[:64],
                "rate_limit": rate_limit,
                **limits.columns(),
            },
        )
        _note(rt, conn, actor, "api_key.created", key_id, name, _told(role, rate_limit, limits))
    return key_id, secret


def check_key(rt: Runtime, name: str, role: str, rate_limit: int | None, limits: KeyLimits) -> None:
    """What a new key has to be like. Raises ``Refused``."""
    if not 1 <= len(name) <= KEY_NAME_CHARS or not name.isprintable():
        fault = Fault("/name", "length", f"Use 1 to {KEY_NAME_CHARS} printable characters.")
        raise Refused("invalid-key", "The API key cannot be created like this.", faults=[fault])
    if role not in KEY_ROLES:
        fault = Fault("/role", "unknown", f"Choose one of {', '.join(KEY_ROLES)}.")
        raise Refused("invalid-key", "The API key cannot be created like this.", faults=[fault])
    _check_rate_limit(rate_limit)
    limits.check(role, rt.clock())


def rotate_key(rt: Runtime, actor: Actor, key_id: str, overlap: timedelta) -> tuple[str, datetime | None]:
    """Another secret for the same key: ``(secret, until when the old one serves)``; None: it is refused at once.

    The secret before the old one, if it still served, ends now.
    """
    _demand(actor)
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        fault = Fault("/overlap", "out-of-range", f"The old secret may serve for up to {MAX_OVERLAP.days} days.")
        raise Refused("invalid-key", "The API key cannot be rotated like this.", faults=[fault])
    secret, now = _new_secret(), rt.clock()
    until = now + overlap if overlap else None
    with rt.db.write() as conn:
        row = accounts.lock_key(conn, key_id)
        values = {
            "hint": secret[:8],
            "secret_hash": fingerprint(secret),
            "previous_hash": row.secret_hash if until else None,
            "previous_until": until,
            "rotated_at": now,
        }
        accounts.change_key(conn, key_id, values)
        _note(rt, conn, actor, "api_key.rotated", key_id, row.name, {"old_serves_until": iso_or_none(until)})
    return secret, until


def limit_key(rt: Runtime, actor: Actor, key_id: str, rate_limit: int | None) -> None:
    """Give a key another limit, or with None that of the setting; it holds within a second."""
    _demand(actor)
    _check_rate_limit(rate_limit)
    with rt.db.write() as conn:
        row = accounts.limit_key(conn, key_id, rate_limit)
        _note(rt, conn, actor, "api_key.limited", key_id, row.name, {"rate_limit": rate_limit})


def revoke_key(rt: Runtime, actor: Actor, key_id: str) -> None:
    """From now on (within a second, in every web process) the key is refused, with all its secrets."""
    _demand(actor)
    with rt.db.write() as conn:
        row = accounts.revoke_key(conn, key_id, rt.clock())
        _note(rt, conn, actor, "api_key.revoked", key_id, row.name)


def list_keys(rt: Runtime, before: str = "", limit: int = 1000) -> list[Any]:
    """Rows of ``api_keys``, newest first, revoked ones too; those made before the key ``before``."""
    with rt.db.read() as conn:
        return list(accounts.list_keys(conn, limit, before))


def get_key(rt: Runtime, key_id: str) -> Any:
    """The row of one key. Raises ``NotFound``."""
    with rt.db.read() as conn:
        return accounts.get_key(conn, key_id)


def _new_secret() -> str:
    return KEY_PREFIX + secrets.token_urlsafe(32)


def _told(role: str, rate_limit: int | None, limits: KeyLimits) -> dict[str, Any]:
    """What the audit entry says: the role, and what differs from a key without limits."""
    plain = UNLIMITED.columns()
    told = {name: value for name, value in limits.columns().items() if value != plain[name]}
    if limits.expires_at is not None:
        told["expires_at"] = iso_or_none(limits.expires_at)
    return {"role": role} | ({} if rate_limit is None else {"rate_limit": rate_limit}) | told


def _check_rate_limit(rate_limit: int | None) -> None:
    if rate_limit is not None and not 1 <= rate_limit <= MAX_RATE_LIMIT:
        fault = Fault("/rate_limit", "out-of-range", f"Use 1 to {MAX_RATE_LIMIT:,} requests a minute, or none.")
        raise Refused("invalid-key", "The API key cannot have this limit.", faults=[fault])


def _demand(actor: Actor) -> None:
    if not actor.can("administer"):
        raise Forbidden("Only an administrator may do this.")


def _note(
    rt: Runtime,
    conn: Connection,
    actor: Actor,
    action: str,
    key_id: str,
    name: str,
    details: Mapping[str, Any] | None = None,
) -> None:
    trail.leave(rt, conn, actor, action, Target("api_key", key_id, name), details)
