"""Answering a repeated request once: its ``Idempotency-Key`` is taken, answered, and kept for a day.

Who holds a key and dies loses it after a minute: no request takes that long.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, Refused
from webapp.runtime import Runtime
from webapp.store import idempotency as store

HELD = timedelta(minutes=1)
KEPT = timedelta(hours=24)


class StillRunning(Conflict):
    """The first request with this key is not answered yet."""

    slug, title = "idempotency-in-progress", "Still in progress"
    retry_after_s = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that was given before."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True, slots=True)
class Turn:
    """This request is the one that is answered."""

    key: str
    begun: datetime


def scope_of(actor: Actor, method: str, path: str, key: str) -> str:
    """A key counts for one actor, method and path: that of another tells nothing and blocks nothing."""
    return _digest(actor.kind, actor.id, method, path, key)


def fingerprint_of(query: bytes, kind: str, body: bytes) -> str:
    """What the request says; the same key with another one is a mistake."""
    return _digest(query.decode("latin-1"), kind, sha256(body).hexdigest())


def begin(rt: Runtime, key: str, fingerprint: str) -> Turn | Kept:
    """Take the key. Raises ``StillRunning``, or ``Refused`` when it came with another request."""
    now = rt.clock()
    with rt.db.write() as conn:
        if store.begin(conn, key, fingerprint, now, now + HELD):
            return Turn(key, now)
        row = store.find(conn, key)
    if row is None or (row.fingerprint == fingerprint and row.state == "running"):
        raise StillRunning("The first request with this Idempotency-Key is still being answered.")
    if row.fingerprint != fingerprint:
        raise Refused("idempotency-key-reused", "This Idempotency-Key came with another request before.")
    return Kept(row.status, row.headers, row.body)


def finish(rt: Runtime, turn: Turn, answer: Kept) -> None:
    """Keep the answer for a day."""
    content = {"status": answer.status, "headers": dict(answer.headers), "body": answer.body}
    with rt.db.write() as conn:
        store.finish(conn, turn.key, turn.begun, content, rt.clock() + KEPT)


def release(rt: Runtime, turn: Turn) -> None:
    """Keep nothing: the request may be repeated."""
    with rt.db.write() as conn:
        store.release(conn, turn.key, turn.begun)


def prune(rt: Runtime) -> int:
    """Forget keys that ran out; answers how many."""
    with rt.db.write() as conn:
        return store.drop_expired(conn, rt.clock())


def _digest(*parts: str) -> str:
    return sha256("\x00".join(parts).encode()).hexdigest()
