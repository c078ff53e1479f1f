"""Inbound sources: kept by people. Secrets are sealed; the one before vouches for a while after it was replaced."""

from __future__ import annotations

import secrets
from base64 import b64encode
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, Fault
from webapp.domain.faults import refusal
from webapp.domain.instants import iso
from webapp.domain.signatures import SHARED_KEY, UNSIGNED
from webapp.domain.sources import THEIRS, SourceDraft, read_secret
from webapp.runtime import Runtime
from webapp.services import trail, vault
from webapp.store import sources
from webapp.store.audit import Target

MAX_OVERLAP = timedelta(days=30)


@dataclass(frozen=True, slots=True, repr=False)
class Made:
    """A source, and the secret that the hub made for it: shown once, here, and never again."""

    id: str
    secret: str | None = None


def create(rt: Runtime, actor: Actor, draft: SourceDraft) -> Made:
    """Store a source; its address works from now on."""
    actor.must("design")
    now, source_id = rt.clock(), rt.new_id("src")
    made = None if draft.secret or draft.kind in UNSIGNED | THEIRS else _new_secret(draft.kind)
    row = {
        "id": source_id,
        "token": secrets.token_urlsafe(24),
        "kind": draft.kind,
        "sealed": _sealed(rt, source_id, draft.secret or made),
        "created_at": now,
        "updated_at": now,
        **_columns(draft),
    }
    with rt.db.write() as conn:
        sources.add_source(conn, row)
        _note(rt, conn, actor, "source.created", source_id, draft.name, _shown(draft))
    return Made(source_id, made)


def update(rt: Runtime, actor: Actor, source_id: str, draft: SourceDraft, revision: int | None = None) -> None:
    """Change all but the kind and the secret. With ``revision``, only if nobody changed it meanwhile (``Conflict``)."""
    actor.must("design")
    if draft.secret is not None:
        fault = Fault("/secret", "not-here", "A secret is replaced by rotating it, so that the old one can overlap.")
        raise refusal("invalid-source", "source", [fault])
    with rt.db.write() as conn:
        sources.get_source(conn, source_id)
        sources.change_source(conn, source_id, revision=revision, at=rt.clock(), **_columns(draft))
        _note(rt, conn, actor, "source.updated", source_id, draft.name, _shown(draft))


def rotate(rt: Runtime, actor: Actor, source_id: str, secret: str | None, overlap: timedelta) -> Made:
    """Another secret, one of the hub's making when none is given; the one before vouches until the overlap is over."""
    actor.must("design")
    now, overlap = rt.clock(), max(timedelta(), min(overlap, MAX_OVERLAP))
    with rt.db.write() as conn:
        row = sources.get_source(conn, source_id)
        given = _checked_secret(secret, row.kind)
        made = None if given else _new_secret(row.kind)
        overlaps = row.sealed is not None and overlap > timedelta()
        sources.change_source(
            conn, source_id, revision=row.revision, at=now,
            sealed=_sealed(rt, source_id, given or made),
            previous_sealed=row.sealed if overlaps else None,
            previous_until=now + overlap if overlaps else None,
        )  # fmt: skip
        details = {"previous_until": iso(now + overlap) if overlaps else None}
        _note(rt, conn, actor, "source.secret_rotated", source_id, row.name, details)
    return Made(source_id, made)


def disable(rt: Runtime, actor: Actor, source_id: str) -> None:
    """Its requests are refused until it is enabled."""
    _switch(rt, actor, source_id, enabled=False)


def enable(rt: Runtime, actor: Actor, source_id: str) -> None:
    """Take its requests again."""
    _switch(rt, actor, source_id, enabled=True)


def delete(rt: Runtime, actor: Actor, source_id: str) -> None:
    """Its address is nothing any more, its secrets and requests are forgotten; its events stay."""
    actor.must("design")
    now = rt.clock()
    with rt.db.write() as conn:
        row = sources.get_source(conn, source_id)
        gone = {"deleted_at": now, "sealed": None, "previous_sealed": None, "previous_until": None}
        sources.change_source(conn, source_id, revision=row.revision, at=now, **gone)
        sources.forget_requests(conn, source_id)
        _note(rt, conn, actor, "source.deleted", source_id, row.name, {})


def secrets_of(rt: Runtime, row: Any) -> list[str]:
    """The secrets that vouch for a request now, the newest first."""
    sealed = [row.sealed]
    if row.previous_until is not None and rt.clock() < row.previous_until:
        sealed.append(row.previous_sealed)
    return [vault.unseal(rt.settings, one, bound_to=_place(row.id)) for one in sealed if one is not None]


def _switch(rt: Runtime, actor: Actor, source_id: str, *, enabled: bool) -> None:
    actor.must("design")
    now = rt.clock()
    with rt.db.write() as conn:
        row = sources.get_source(conn, source_id)
        if (row.disabled_at is None) == enabled:
            raise Conflict(f"This source is {'enabled' if enabled else 'disabled'} already.")
        sources.change_source(conn, source_id, revision=row.revision, at=now, disabled_at=None if enabled else now)
        _note(rt, conn, actor, "source.enabled" if enabled else "source.disabled", source_id, row.name, {})


def _checked_secret(secret: str | None, kind: str) -> str | None:
    faults: list[Fault] = []
    if kind in UNSIGNED:
        faults.append(Fault("/secret", "invalid-secret", "A source of this kind has no secret."))
    elif not secret and kind in THEIRS:
        faults.append(Fault("/secret", "required", "The sender makes this secret: copy it from there."))
    given = None if faults else read_secret(secret, kind, faults)
    if faults:
        raise refusal("invalid-source", "source", faults)
    return given


def _new_secret(kind: str) -> str:
    if kind == "standard":
        return SHARED_KEY + b64encode(secrets.token_bytes(32)).decode()
    return secrets.token_urlsafe(32)


def _sealed(rt: Runtime, source_id: str, secret: str | None) -> bytes | None:
    return None if secret is None else vault.seal(rt.settings, secret, bound_to=_place(source_id))


def _place(source_id: str) -> str:
    return f"sources:{source_id}"


def _columns(draft: SourceDraft) -> dict[str, Any]:
    names = ("name", "event_source", "options", "mapping")
    return {name: getattr(draft, name) for name in names}


def _shown(draft: SourceDraft) -> dict[str, Any]:
    return {"kind": draft.kind, "event_source": draft.event_source, "options": draft.options, "mapping": draft.mapping}


def _note(
    rt: Runtime, conn: Connection, actor: Actor, action: str, source_id: str, name: str, details: dict[str, Any]
) -> None:
    trail.leave(rt, conn, actor, action, Target("source", source_id, name), details)
