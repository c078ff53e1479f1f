"""Doing a worker's steps by hand: claim, and finish with an outcome."""

from __future__ import annotations

from datetime import timedelta

from webapp.domain.lifecycle import settle
from webapp.domain.outcomes import Outcome
from webapp.runtime import Runtime
from webapp.store.deliveries import Claimed, Finished, claim
from webapp.store.outcomes import finish

LEASE = timedelta(seconds=10)


def claim_all(rt: Runtime, owner: str = "worker-1", *, lane: str = "default", limit: int = 100) -> list[Claimed]:
    """What is due, for that worker."""
    with rt.db.write() as conn:
        return claim(conn, lane=lane, owner=owner, limit=limit, now=rt.clock(), lease=LEASE)


def finish_all(rt: Runtime, claimed: list[Claimed], outcome: Outcome, owner: str = "worker-1") -> set[str]:
    """Record the same outcome for all of them; gives the ids that were recorded."""
    now = rt.clock()
    rows = []
    for one in claimed:
        settled = settle(outcome, policy=one.policy, tries_used=one.tries_used, now=now, roll=rt.roll())
        error = {"error_type": "Retry", "error_message": "no"} if settled.outcome == "failed" else {}
        rows.append(Finished(one, settled, now, now, **error))
    with rt.db.write() as conn:
        return finish(conn, rows, owner=owner, new_id=rt.new_id)
