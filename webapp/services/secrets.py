"""Secrets by name: kept encrypted, written by administrators, opened only where a handler starts.

No answer, audit entry or log line holds a value; a subscription holds ``{secret.NAME}``.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, Fault, Refused
from webapp.domain.faults import CONTROL, refusal, shown
from webapp.domain.secretrefs import NAME, references
from webapp.domain.sensitive import restored
from webapp.runtime import Runtime
from webapp.services import trail, vault
from webapp.store import secrets as rows
from webapp.store.audit import Target

log = logging.getLogger(__name__)

VALUE_BYTES = 32 * 1024  # a chain of certificates with its key fits
DESCRIPTION_CHARS = 500
NAMED = 5  # subscriptions in a refusal


@dataclass(frozen=True, slots=True)
class SecretInfo:
    """A secret as people see it."""

    name: str
    description: str
    revision: int
    created_at: datetime
    updated_at: datetime
    updated_by: str
    used_by: tuple[tuple[str, str], ...]  # id and name of subscriptions


def create(rt: Runtime, actor: Actor, name: str, value: str, description: str = "") -> None:
    """A new secret. Raises ``Refused`` (invalid-secret) or ``Conflict`` (the name is taken)."""
    actor.must("administer")
    _check(name=name, value=value, description=description)
    now = rt.clock()
    row = {"name": name, "description": description.strip(), "created_at": now, "updated_at": now}
    with rt.db.write() as conn:
        rows.add(conn, row | {"updated_by": actor.name, "sealed": _sealed(rt, name, value)})
        _note(rt, conn, actor, "secret.created", name)


def change(
    rt: Runtime,
    actor: Actor,
    name: str,
    *,
    value: str | None = None,
    description: str | None = None,
    revision: int | None = None,
) -> None:
    """Another value, which workers use within seconds, or other words about it. With ``revision``, only if nobody
    changed it meanwhile (``Conflict``)."""
    actor.must("administer")
    _check(**{key: text for key, text in (("value", value), ("description", description)) if text is not None})
    values: dict[str, Any] = {} if value is None else {"sealed": _sealed(rt, name, value)}
    if description is not None:
        values["description"] = description.strip()
    with rt.db.write() as conn:
        row = rows.get(conn, name)
        seen = row.revision if revision is None else revision
        rows.change(conn, name, revision=seen, at=rt.clock(), by=actor.name, **values)
        if value is not None:
            _note(rt, conn, actor, "secret.replaced", name, {"revision": row.revision + 1})
        if description is not None:
            details = {"before": row.description, "after": values["description"]}
            _note(rt, conn, actor, "secret.described", name, details)


def check(*, name: str | None = None, description: str = "") -> None:
    """What can be told of a secret without its value. Raises ``Refused``."""
    _check(description=description, **({} if name is None else {"name": name}))


def delete(rt: Runtime, actor: Actor, name: str) -> None:
    """Forget it. Refused (``Conflict``) while a subscription names it."""
    actor.must("administer")
    with rt.db.write() as conn:
        row = rows.get(conn, name)
        users = rows.users_of(conn, [name]).get(name, [])
        if users:
            more = f" and {len(users) - NAMED} more" if len(users) > NAMED else ""
            names = ", ".join(f"{label} ({id})" for id, label in users[:NAMED])
            raise Conflict(f"{name} is used by {names}{more}; change them first.")
        rows.remove(conn, name, revision=row.revision)
        _note(rt, conn, actor, "secret.deleted", name)


def list_secrets(
    rt: Runtime, actor: Actor, after: str = "", limit: int = rows.PER_PAGE
) -> tuple[list[SecretInfo], str | None]:
    """Secrets by name with who uses them, never what they hold; and where the next page begins."""
    actor.must("administer")
    with rt.db.read() as conn:
        found, following = rows.list_secrets(conn, after, limit)
        users = rows.users_of(conn, [row.name for row in found])
    infos = [SecretInfo(**row._mapping, used_by=tuple(users.get(row.name, ()))) for row in found]
    return infos, following


def find_secret(rt: Runtime, actor: Actor, name: str) -> SecretInfo | None:
    """One of them."""
    actor.must("administer")
    with rt.db.read() as conn:
        row = rows.describe(conn, name)
        users = rows.users_of(conn, [name])
    return None if row is None else SecretInfo(**row._mapping, used_by=tuple(users.get(name, ())))


def settled_options(conn: Connection, options: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The options as they are to be stored: ``•••`` stands for what was there before, and every secret exists.

    Raises ``Refused`` (invalid-subscription). The secrets stay until the end of the transaction.
    """
    faults: list[Fault] = []
    whole: dict[str, Any] = restored(options, before, "/options", faults)
    named = list(references(whole, "/options"))
    known = rows.hold(conn, {name for _, name in named}) if named else set()
    faults += [
        Fault(at, "unknown-secret", f"There is no secret {shown(name)!r}; an administrator can create it.")
        for at, name in named
        if name not in known
    ]
    if faults:
        raise refusal("invalid-subscription", "subscription", faults)
    return whole


def read_values(rt: Runtime, names: Collection[str]) -> dict[str, str]:
    """The values, for a worker that is about to start a handler. Unknown or unreadable ones are absent."""
    with rt.db.read() as conn:
        sealed = rows.read_sealed(conn, names)
    opened = {}
    for name, content in sealed.items():
        try:
            opened[name] = vault.unseal(rt.settings, content, bound_to=_place(name))
        except vault.SealBroken as error:
            log.error("the secret %s cannot be decrypted: %s", name, error, extra={"action": "secret_unreadable"})
    return opened


def _check(**given: str) -> None:
    faults = []
    if "name" in given and not NAME.fullmatch(given["name"]):
        faults.append(Fault("/name", "invalid-name", "Use 1 to 64 letters, digits, dots, dashes and underscores."))
    if "value" in given and not 1 <= len(given["value"].encode("utf-8", "surrogatepass")) <= VALUE_BYTES:
        faults.append(Fault("/value", "invalid-length", f"Give a value of 1 to {VALUE_BYTES} bytes."))
    elif "value" in given and ("\x00" in given["value"] or not _is_utf8(given["value"])):
        faults.append(Fault("/value", "invalid-character", "Use text without NUL."))
    words = given.get("description", "")
    if len(words) > DESCRIPTION_CHARS or CONTROL.search(words):
        message = f"Use at most {DESCRIPTION_CHARS} characters on one line."
        faults.append(Fault("/description", "invalid-length", message))
    if faults:
        detail = faults[0].message if len(faults) == 1 else "The secret cannot be saved like this."
        raise Refused("invalid-secret", detail, faults=faults)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _sealed(rt: Runtime, name: str, value: str) -> bytes:
    return vault.seal(rt.settings, value, bound_to=_place(name))


def _place(name: str) -> str:
    return f"secrets/{name}"


def _note(
    rt: Runtime, conn: Connection, actor: Actor, action: str, name: str, details: Mapping[str, Any] | None = None
) -> None:
    trail.leave(rt, conn, actor, action, Target("secret", name, name), details)
