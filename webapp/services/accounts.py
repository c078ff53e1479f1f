"""Users and the link that makes the first administrator. Every change is audited in its own transaction.

A secret (password, key, link) is handed back once, by the call that makes it, and never stored, logged or audited.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from webapp.domain.access import SYSTEM, Actor
from webapp.domain.errors import Conflict, Fault, Forbidden, NotFound, Refused
from webapp.runtime import Runtime
from webapp.services import trail
from webapp.services.fingerprints import fingerprint as fingerprint
from webapp.services.keys import KEY_PREFIX as KEY_PREFIX
from webapp.services.keys import KEY_ROLES as KEY_ROLES
from webapp.services.keys import create_key as create_key
from webapp.services.keys import limit_key as limit_key
from webapp.services.keys import list_keys as list_keys
from webapp.services.keys import revoke_key as revoke_key
from webapp.services.keys import rotate_key as rotate_key
from webapp.services.passwords import check_password, hash_password, verify_password
from webapp.store import accounts, one_time_links
from webapp.store.audit import Target

USERNAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
USER_ROLES: tuple[str, ...] = ("viewer", "operator", "developer", "admin")
LINK_LIFE = timedelta(hours=24)
FIRST_ADMIN, INVITATION, PASSWORD_RESET = "first-admin", "invitation", "password-reset"


def clean_username(text: str) -> str:
    """As it is stored and compared."""
    return unicodedata.normalize("NFKC", text).strip().lower()


# Users


def create_user(rt: Runtime, actor: Actor, username: str, password: str, role: str) -> str:
    """A new user; answers the id. Raises ``Refused`` (invalid-user) or ``Conflict`` (the name is taken)."""
    demand(actor)
    row = prepare_user(rt, username, password, role)
    with rt.db.write() as conn:
        add_user(rt, conn, actor, row)
    return str(row["id"])


def set_role(rt: Runtime, actor: Actor, user_id: str, role: str) -> None:
    """Give a user another role; it holds from the next request on. The last administrator stays one."""
    demand(actor)
    check_role(role, USER_ROLES)
    with rt.db.write() as conn:
        user = _user_but_last_admin(conn, user_id, keeps_admin=role == "admin")
        accounts.change_user(conn, user_id, role=role)
        note(rt, conn, actor, "user.role_changed", "user", user_id, user.username, {"from": user.role, "to": role})
        if role != "admin":
            _withdraw_made_by(rt, conn, actor, user_id)


def set_sees_payloads(rt: Runtime, actor: Actor, user_id: str, sees: bool) -> None:
    """Let a user view payloads, or hide them; it holds from the next request on."""
    demand(actor)
    with rt.db.write() as conn:
        user = accounts.get_user(conn, user_id)
        accounts.change_user(conn, user_id, sees_payloads=sees)
        action = "user.payloads_shown" if sees else "user.payloads_hidden"
        note(rt, conn, actor, action, "user", user_id, user.username)


def list_sessions(rt: Runtime, actor: Actor) -> list[Any]:
    """The browsers that are signed in as this user, last used first."""
    now = rt.clock()
    with rt.db.read() as conn:
        idle_since = now - timedelta(hours=rt.settings.session_idle_h)
        return list(accounts.sessions_of(conn, actor.id, now=now, idle_since=idle_since))


def sign_out_others(rt: Runtime, actor: Actor, session_id: str) -> int:
    """End every session of this user but one; answers how many ended."""
    if actor.kind != "user":
        raise Forbidden("Only a signed-in user has sessions.")
    with rt.db.write() as conn:
        ended = accounts.delete_sessions_of(conn, actor.id, but=session_id)
        if ended:
            note(rt, conn, actor, "user.others_signed_out", "user", actor.id, actor.name, {"sessions": ended})
    return ended


def disable_user(rt: Runtime, actor: Actor, user_id: str) -> None:
    """Sign a user out everywhere and keep them out. The last administrator cannot be disabled."""
    demand(actor)
    with rt.db.write() as conn:
        user = _user_but_last_admin(conn, user_id, keeps_admin=False)
        accounts.change_user(conn, user_id, disabled_at=rt.clock())
        accounts.delete_sessions_of(conn, user_id)
        note(rt, conn, actor, "user.disabled", "user", user_id, user.username)
        one_time_links.revoke_links_for(conn, user_id, PASSWORD_RESET, rt.clock())
        _withdraw_made_by(rt, conn, actor, user_id)


def enable_user(rt: Runtime, actor: Actor, user_id: str) -> None:
    """Let a disabled user sign in again."""
    demand(actor)
    with rt.db.write() as conn:
        user = accounts.get_user(conn, user_id)
        accounts.change_user(conn, user_id, disabled_at=None)
        note(rt, conn, actor, "user.enabled", "user", user_id, user.username)


def set_password(rt: Runtime, actor: Actor, user_id: str, password: str) -> None:
    """An administrator gives a user a new password; their sessions end."""
    demand(actor)
    _replace_password(rt, actor, user_id, password, keep_session="")


def change_own_password(rt: Runtime, actor: Actor, old: str, new: str, *, session_id: str = "") -> None:
    """A user changes the own password, knowing the old one; every other session ends."""
    if actor.kind != "user":
        raise Forbidden("Only a signed-in user has a password.")
    with rt.db.read() as conn:
        user = accounts.get_user(conn, actor.id)
    if not verify_password(user.password_hash, old):
        raise invalid_user([Fault("/old_password", "wrong", "This is not your present password.")])
    _replace_password(rt, actor, actor.id, new, keep_session=session_id)


def list_users(rt: Runtime) -> list[Any]:
    """Rows of ``users`` (without use for the hash), by name."""
    with rt.db.read() as conn:
        return list(accounts.list_users(conn))


def prepare_user(rt: Runtime, username: str, password: str, role: str) -> dict[str, Any]:
    """The row of a user to be. Hashing is slow on purpose: never inside a transaction. Raises ``Refused``."""
    username = clean_username(username)
    faults = check_password(password, username)
    if not USERNAME.fullmatch(username):
        message = "Use 1 to 64 of a-z, 0-9 and . _ @ + -, beginning with a letter or digit."
        faults.insert(0, Fault("/username", "grammar", message))
    if faults:
        raise invalid_user(faults)
    check_role(role, USER_ROLES)
    return {
        "id": rt.new_id("usr"),
        "username": username,
        "password_hash": hash_password(password),
        "role": role,
        "created_at": rt.clock(),
    }


def add_user(rt: Runtime, conn: Connection, actor: Actor, row: dict[str, Any]) -> None:
    """Insert what ``prepare_user`` made. Raises ``Conflict`` when the name is taken."""
    accounts.add_user(conn, row)
    note(rt, conn, actor, "user.created", "user", row["id"], row["username"], {"role": row["role"]})


def _replace_password(rt: Runtime, actor: Actor, user_id: str, password: str, *, keep_session: str) -> None:
    with rt.db.read() as conn:
        username = accounts.get_user(conn, user_id).username
    encoded = prepare_password(password, username)
    with rt.db.write() as conn:
        save_password(rt, conn, actor, user_id, encoded, keep_session=keep_session)


def prepare_password(password: str, username: str) -> str:
    """As it is stored. Hashing is slow on purpose: never inside a transaction. Raises ``Refused``."""
    if faults := check_password(password, username):
        raise invalid_user(faults)
    return hash_password(password)


def save_password(
    rt: Runtime, conn: Connection, actor: Actor, user_id: str, encoded: str, *, keep_session: str = ""
) -> None:
    """Another password: sessions end but that one, and links that would set yet another are worth nothing."""
    user = accounts.get_user(conn, user_id)
    accounts.change_user(conn, user_id, password_hash=encoded)
    accounts.delete_sessions_of(conn, user_id, but=keep_session)
    one_time_links.revoke_links_for(conn, user_id, PASSWORD_RESET, rt.clock())
    note(rt, conn, actor, "user.password_changed", "user", user_id, user.username)


def _withdraw_made_by(rt: Runtime, conn: Connection, actor: Actor, user_id: str) -> None:
    """Links that somebody made as an administrator do not outlive their being one."""
    for link_id in one_time_links.revoke_made_by(conn, user_id, rt.clock()):
        note(rt, conn, actor, "link.withdrawn", "link", link_id, "", {"because": "its maker is no administrator now"})


def _user_but_last_admin(conn: Connection, user_id: str, *, keeps_admin: bool) -> Any:
    admins = accounts.lock_admins(conn)
    user = accounts.get_user(conn, user_id)
    if not keeps_admin and admins == [user_id]:
        raise Conflict("This is the last administrator; make another user administrator first.")
    return user


# The first administrator


def first_admin_link(rt: Runtime) -> str | None:
    """A link that creates the first administrator, good for 24 hours; None once there is a user."""
    now, token = rt.clock(), secrets.token_urlsafe(32)
    row = {
        "token_hash": fingerprint(token),
        "purpose": FIRST_ADMIN,
        "created_at": now,
        "expires_at": now + LINK_LIFE,
    }
    with rt.db.write() as conn:
        if accounts.has_users(conn):
            return None
        one_time_links.drop_expired_links(conn, now)
        one_time_links.add_link(conn, row)
        note(rt, conn, SYSTEM, "setup_link.created", "setup_link", str(row["token_hash"])[:12])
    return f"{rt.settings.base_url}/setup?token={token}"


def has_users(rt: Runtime) -> bool:
    """Whether anybody can sign in yet."""
    with rt.db.read() as conn:
        return accounts.has_users(conn)


def is_setup_open(rt: Runtime, token: str) -> bool:
    """Whether this token can still create the first administrator."""
    with rt.db.read() as conn:
        is_open = one_time_links.is_link_open(conn, fingerprint(token), FIRST_ADMIN, rt.clock())
        return is_open and not accounts.has_users(conn)


def create_first_admin(rt: Runtime, token: str, username: str, password: str, *, ip: str, request_id: str) -> str:
    """Use the link up and create the administrator; of two who race, one gets ``NotFound``."""
    row = prepare_user(rt, username, password, "admin")
    actor = Actor("user", row["id"], row["username"], "admin", ip=ip, request_id=request_id)
    with rt.db.write() as conn:
        open_links = one_time_links.use_links(conn, FIRST_ADMIN, rt.clock())
        if fingerprint(token) not in open_links or accounts.has_users(conn):
            raise NotFound("This link was used already, has expired or never existed.")
        add_user(rt, conn, actor, row)
    return str(row["id"])


# Shared by the above


def demand(actor: Actor) -> None:
    """Raise ``Forbidden`` unless this is an administrator."""
    if not actor.can("administer"):
        raise Forbidden("Only an administrator may do this.")


def check_role(role: str, allowed: tuple[str, ...]) -> None:
    """Raise ``Refused`` for any other."""
    if role not in allowed:
        raise invalid_user([Fault("/role", "unknown", f"Choose one of {', '.join(allowed)}.")])


def invalid_user(faults: list[Fault]) -> Refused:
    """The refusal of what was said of a user."""
    return Refused("invalid-user", "This cannot be saved like this.", faults=faults)


def note(
    rt: Runtime,
    conn: Connection,
    actor: Actor,
    action: str,
    kind: str,
    target_id: str,
    name: str = "",
    details: dict[str, Any] | None = None,
) -> None:
    """Write down who did what."""
    trail.leave(rt, conn, actor, action, Target(kind, target_id, name), details)
