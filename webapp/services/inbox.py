"""What a person has read: a mark per user, not a row per notification. It concerns nobody else, so it is not audited."""

from __future__ import annotations

from webapp.domain.access import Actor
from webapp.runtime import Runtime
from webapp.store.feed_notifications import move_mark, newest_id


def mark_all_read(rt: Runtime, actor: Actor) -> None:
    """Every notification that exists now is read."""
    with rt.db.write() as conn:
        newest = newest_id(conn)
        if newest is not None:
            move_mark(conn, actor.id, newest)
