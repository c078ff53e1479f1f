"""Recording what workers did: the outcome, progress and log lines of attempts; then telling the browsers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from webapp.live import EventChanged
from webapp.runtime import Runtime
from webapp.services import breakers, gatekeeper
from webapp.store import outcomes
from webapp.store.deliveries import Finished


def record(rt: Runtime, rows: Sequence[Finished], owner: str) -> set[str]:
    """Record finished attempts in one transaction; answers the delivery ids that were really ours."""
    with rt.db.write() as conn:
        recorded = outcomes.finish(conn, rows, owner=owner, new_id=rt.new_id)
    breakers.review(rt, [row for row in rows if row.claimed.id in recorded])
    gatekeeper.after_end(rt, (row.claimed for row in rows))
    rt.live.tell(*{row.claimed.event_uid: EventChanged(row.claimed.event_uid, "") for row in rows}.values())
    return recorded


def release(rt: Runtime, ids: Sequence[str], owner: str) -> set[str]:
    """Give running deliveries back when their worker stops; the try does not count."""
    with rt.db.write() as conn:
        return outcomes.release(conn, ids, owner=owner, at=rt.clock(), new_id=rt.new_id)


def report(
    rt: Runtime,
    owner: str,
    progress: Sequence[Mapping[str, Any]],
    lines: Sequence[Mapping[str, Any]],
    event_uids: Sequence[str],
) -> None:
    """Keep progress (``id, attempt, done, total, message``) and log lines of running attempts, and tell of it."""
    with rt.db.write() as conn:
        outcomes.save_progress(conn, progress, owner=owner)
        outcomes.add_log_lines(conn, lines)
    rt.live.tell(*(EventChanged(uid, "processing") for uid in event_uids))
