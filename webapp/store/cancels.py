"""Cancelling: what does not run ends at once; of what runs the end is asked for, and whoever runs it brings it about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, and_, case, func, literal, or_, select, update

from webapp.domain.lifecycle import CancelEnd, State, stopped
from webapp.store.columns import Instant
from webapp.store.deliveries import Finished
from webapp.store.engine import within
from webapp.store.events import Shift, shift_counts
from webapp.store.tables import deliveries

STANDS = frozenset({State.SUCCEEDED, State.SKIPPED, State.CANCELLED})  # it did happen, whatever was asked meanwhile


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What became of the deliveries that were to be cancelled; those that had ended are in neither."""

    ended: tuple[str, ...]  # they did not run
    asked: tuple[str, ...]  # they run; their workers have been told by the row

    def __len__(self) -> int:
        return len(self.ended) + len(self.asked)


def cancel_open(conn: Connection, ids: Sequence[str], *, at: datetime, by: str) -> Cancelled:
    """Cancel deliveries that have not ended. One statement: none slips from waiting to running in between."""
    if not ids:
        return Cancelled((), ())
    d = deliveries.c
    runs, now = d.state == State.RUNNING, literal(at, Instant())
    unasked = and_(runs, d.cancel_requested_at.is_(None))
    found = conn.execute(
        update(deliveries)
        .where(within(conn, d.id, list(ids)), or_(d.state.in_(("pending", "waiting", "held")), unasked))
        .values(
            state=case((runs, d.state), else_=str(State.CANCELLED)),
            reason=case((runs, d.reason), else_=str(CancelEnd.BEFORE_START)),
            finished_at=case((runs, d.finished_at), else_=now),
            cancel_requested_at=func.coalesce(d.cancel_requested_at, now),
            cancel_requested_by=func.coalesce(d.cancel_requested_by, by[:200]),
            v=d.v + 1,
        )
        .returning(d.id, d.event_uid, d.state)
    ).all()
    ended = [row for row in found if row.state == State.CANCELLED]
    shift_counts(conn, _failed([row.event_uid for row in ended]))
    return Cancelled(tuple(row.id for row in ended), tuple(row.id for row in found if row.state != State.CANCELLED))


def _failed(event_uids: Sequence[str]) -> dict[str, Shift]:
    return {uid: (-event_uids.count(uid), 0, event_uids.count(uid)) for uid in set(event_uids)}


def honour(conn: Connection, rows: Sequence[Finished]) -> list[Finished]:
    """Finished attempts, where a cancellation that was asked for takes the place of another try or of a failure.

    Only what did not end well is looked up, and locked: the request may come at the same moment.
    """
    bad = [row.claimed.id for row in rows if row.settlement.state not in STANDS]
    if not bad:
        return list(rows)
    d = deliveries.c
    found = select(d.id, d.cancel_requested_at).where(within(conn, d.id, bad)).order_by(d.id).with_for_update()
    asked = {row.id for row in conn.execute(found) if row.cancel_requested_at is not None}
    settlement = stopped(CancelEnd.COOPERATIVE)
    return [replace(row, settlement=settlement) if row.claimed.id in asked else row for row in rows]
