"""What a person does to one delivery of a batch, done to the others of it: they were run together, and are again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from webapp.domain.lifecycle import FINAL, State, Verb
from webapp.domain.policies import Policies
from webapp.store import batches, operations
from webapp.store.events import shift_counts

NewId = Callable[[str], str]


def retry_mates(conn: Connection, row: Row[Any], policies: Policies, now: datetime) -> dict[str, str]:
    """The others of its batch that are where it was (``row``) are tried again with it: their ids, with their events."""
    mates = [one.id for one in _batch(conn, row, policies) if one.id != row.id and one.state == row.state]
    if row.state == State.WAITING:
        return operations.move_many(conn, mates, Verb.HASTEN, {"state": "pending", "due_at": now})
    if row.state != State.DEAD:
        return {}
    revived = operations.move_many(conn, mates, Verb.REVIVE, operations.revived_values(now))
    shift_counts(conn, {uid: (n, 0, -n) for uid, n in Counter(revived.values()).items()})
    return revived


def rerun_together(
    conn: Connection, row: Row[Any], policies: Policies, new_id: NewId, now: datetime
) -> dict[str, tuple[str, str]]:
    """New deliveries for all of its batch that have ended, as a batch again: by the old id, the new one and the event."""
    old = sorted({row.id, *(one.id for one in _batch(conn, row, policies) if one.state in FINAL)})
    new = {id: new_id("dlv") for id in old}
    batch_id = new[old[0]] if len(old) > 1 else None
    rows = operations.get_delivery_rows(conn, old)
    for one in sorted(rows, key=lambda one: one.event_uid):  # events are locked in one order
        operations.add_rerun(conn, one, new[one.id], now, batch_id)
    return {one.id: (new[one.id], one.event_uid) for one in rows}


def _batch(conn: Connection, row: Row[Any], policies: Policies) -> Sequence[Any]:
    """All of its batch. Without the policy nothing runs together any more."""
    return batches.members(conn, row.batch_id) if policies.batch is not None else ()
