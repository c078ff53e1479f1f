"""The trail that people leave: an audit entry with the hub's own id and time, in the transaction of what it tells of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from webapp.domain.access import Actor
from webapp.runtime import Runtime
from webapp.store import audit
from webapp.store.audit import Target


def leave(
    rt: Runtime, conn: Connection, actor: Actor, action: str, target: Target, details: Mapping[str, Any] | None = None
) -> None:
    """Write down who did what to which target; ``action`` is dotted and in the past tense."""
    audit.add(
        conn,
        id=rt.new_id("aud"),
        at=rt.clock(),
        actor=actor,
        action=action,
        target_kind=target.kind,
        target_id=target.id,
        target_name=target.name,
        details=details,
    )
