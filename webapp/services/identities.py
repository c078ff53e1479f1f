"""People who come by the identity provider: found by issuer and subject, never by e-mail address or name alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from webapp.domain.access import Actor
from webapp.domain.errors import Conflict
from webapp.domain.identity import Identity, NotAdmitted, Policy, admit
from webapp.runtime import Runtime
from webapp.services import attempts, second_factor, sign_in, trail
from webapp.services.attempts import Visit
from webapp.services.sign_in import UNUSABLE, Admitted, Pending
from webapp.settings import Settings
from webapp.settingtext import groups, listed, roles_of_groups
from webapp.store import accounts, identities
from webapp.store.audit import Target

REFUSED = "user.provider_refused"


def policy_of(settings: Settings) -> Policy:
    """Who is let in, and as what."""
    return Policy(
        settings.oidc_groups_claim,
        roles_of_groups(settings.oidc_roles),
        settings.oidc_default_role,
        listed(settings.oidc_allowed_domains),
        groups(settings.oidc_allowed_groups),
    )


def arrive(rt: Runtime, claims: Mapping[str, Any], visit: Visit) -> Admitted | Pending:
    """Sign in whoever the provider says that is: found, created if the setting says so, or ``NotAdmitted``.

    The user, the role and the session are one transaction: a refusal leaves nothing but its audit entry.
    """
    try:
        identity = admit(policy_of(rt.settings), claims)
        with rt.db.write() as conn:
            user = identities.find(conn, identity.subject) or _created(rt, conn, identity, visit)
            if user.disabled_at is not None:
                raise NotAdmitted("Your account here is disabled; ask an administrator.")
            user = _with_role(rt, conn, user, identity, visit)
            return sign_in.admit(rt, conn, user, visit, by="provider")
    except NotAdmitted as refusal:
        _note_refusal(rt, claims, refusal, visit)
        raise


def link(rt: Runtime, actor: Actor, claims: Mapping[str, Any]) -> None:
    """From now on this user may come by the provider as well. The password was asked before they went there."""
    identity = admit(policy_of(rt.settings), claims)
    with rt.db.write() as conn:
        user = accounts.get_user(conn, actor.id)
        if not identities.link(conn, user.id, identity.subject):
            raise Conflict("Your account is linked already; cut that link first.")
        _note(rt, conn, actor, "user.identity_linked", user, {"issuer": rt.settings.oidc_issuer})


def unlink(rt: Runtime, actor: Actor, password: str) -> None:
    """Cut the link; the password, which is asked for, is the way in."""
    user = second_factor.confirm_password(rt, actor, password)
    with rt.db.write() as conn:
        if not identities.unlink(conn, user.id):
            raise Conflict("Your account is not linked.")
        _note(rt, conn, actor, "user.identity_unlinked", user)


def _created(rt: Runtime, conn: Connection, identity: Identity, visit: Visit) -> Any:
    if not rt.settings.oidc_create_users:
        raise NotAdmitted("Nobody here is linked to your account there. Sign in with your password and link it.")
    if not identity.names:
        raise NotAdmitted("The identity provider told no name that you could have here.")
    name = identity.names[0]
    if accounts.find_user(conn, name) is not None:
        raise NotAdmitted(f"There is a user {name} already. If that is you, sign in with your password and link it.")
    row = {"id": rt.new_id("usr"), "username": name, "password_hash": UNUSABLE, "role": identity.first_role}
    accounts.add_user(conn, row | {"created_at": rt.clock(), "oidc_subject": identity.subject})
    user = accounts.get_user(conn, row["id"])
    _note(rt, conn, attempts.nobody(visit), "user.created", user, {"role": user.role, "by": "provider"})
    return user


def _with_role(rt: Runtime, conn: Connection, user: Any, identity: Identity, visit: Visit) -> Any:
    """The role that their groups have, if groups have roles here. The last administrator stays one."""
    if identity.role is None or identity.role == user.role:
        return user
    if user.role == "admin" and accounts.lock_admins(conn) == [user.id]:
        return user
    if identities.set_role(conn, user.id, old=user.role, new=identity.role):
        details = {"from": user.role, "to": identity.role, "by": "provider"}
        _note(rt, conn, attempts.nobody(visit), "user.role_changed", user, details)
    return accounts.get_user(conn, user.id)


def _note_refusal(rt: Runtime, claims: Mapping[str, Any], refusal: NotAdmitted, visit: Visit) -> None:
    subject = str(claims.get("sub"))[:64]
    with rt.db.write() as conn:
        target = Target("identity", subject, subject)
        trail.leave(rt, conn, attempts.nobody(visit), REFUSED, target, {"why": refusal.detail})


def _note(
    rt: Runtime, conn: Connection, actor: Actor, action: str, user: Any, details: Mapping[str, Any] | None = None
) -> None:
    trail.leave(rt, conn, actor, action, Target("user", user.id, user.username), details)
