"""Refusals of people and keys in the audit log, so few of them that nobody can flood it.

Each actor leaves one entry per route in ten minutes; the next one says how many came between. One who goes from route to
route leaves as many as the bucket holds, then one in half a minute. Counted per process.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from webapp.domain.access import Actor
from webapp.domain.errors import HubError
from webapp.runtime import Runtime
from webapp.services import trail
from webapp.store.audit import Target

log = logging.getLogger(__name__)

EVERY_S = 600.0
BURST, REFILL_S = 20, 30.0
KEPT = 5_000
WORDS = 200


@dataclass(slots=True)
class _Seen:
    noted_at: float
    unsaid: int = 0


class Denials:
    """One per process."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._buckets: dict[str, tuple[float, float]] = {}  # actor -> (tokens, as of)

    def note(self, actor: Actor, route: str, why: str) -> None:
        """Write it down if it is its turn. Best effort: a refusal stays a refusal without a database."""
        unsaid = self._turn(f"{actor.kind}:{actor.id}", route)
        if unsaid is None:
            return
        details = {"why": why[:WORDS]} | ({"not_listed_before": unsaid} if unsaid else {})
        try:
            with self._rt.db.write() as conn:
                trail.leave(self._rt, conn, actor, "access.denied", Target("route", route[:200]), details)
        except HubError as error:
            log.warning("refusal not audited: %s", error, extra={"action": "denial_unaudited"})

    def _turn(self, who: str, route: str) -> int | None:
        """How many were left out since the last entry; None when this one is left out as well."""
        now = time.monotonic()
        with self._lock:
            if len(self._seen) > KEPT or len(self._buckets) > KEPT:
                self._seen.clear()
                self._buckets.clear()
            seen = self._seen.get((who, route))
            if (seen is not None and now - seen.noted_at < EVERY_S) or not self._take(who, now):
                self._seen.setdefault((who, route), _Seen(now - EVERY_S)).unsaid += 1
                return None
            self._seen[who, route] = _Seen(now)
            return seen.unsaid if seen is not None else 0

    def _take(self, who: str, now: float) -> bool:
        tokens, as_of = self._buckets.get(who, (float(BURST), now))
        tokens = min(float(BURST), tokens + (now - as_of) / REFILL_S)
        allowed = tokens >= 1
        self._buckets[who] = (tokens - allowed, now)
        return allowed
