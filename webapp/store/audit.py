"""Writing the audit log: one row per action, in the transaction of the change that it records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from webapp.domain.access import Actor
from webapp.store.bulk import insert_rows
from webapp.store.tables import audit

MAX_WORDS = 2000


@dataclass(frozen=True, slots=True)
class Target:
    """What was acted on."""

    kind: str
    id: str
    name: str = ""


def entry(
    *,
    id: str,
    at: datetime,
    actor: Actor,
    action: str,
    target_kind: str,
    target_id: str,
    target_name: str = "",
    details: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The row of one action. ``action`` is dotted and in the past tense: ``subscription.paused``."""
    details = dict(details or {})
    words = " ".join((action, actor.name, actor.id, target_id, target_name, *_texts(details))).lower()
    return {
        "id": id,
        "at": at,
        "actor_kind": actor.kind,
        "actor_id": actor.id[:64],
        "actor_name": actor.name,
        "action": action,
        "target_kind": target_kind,
        "target_id": target_id,
        "target_name": target_name,
        "request_id": actor.request_id[:64],
        "ip": actor.ip,
        "details": details,
        "words": words[:MAX_WORDS],
    }


def add(conn: Connection, **fields: Any) -> None:
    """Write one entry; the arguments are those of ``entry``."""
    add_many(conn, [entry(**fields)])


def add_many(conn: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Write entries made by ``entry``."""
    insert_rows(conn, audit, rows)


def _texts(details: Mapping[str, Any]) -> list[str]:
    return [str(value) for value in details.values() if isinstance(value, str | int | float)]
