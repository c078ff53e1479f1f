"""What a breaker judges by: the tries that were counted per minute, and what became of its probe."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from webapp.domain.breaker import BreakerState, Tries, Verdict
from webapp.store.counters import minute_of
from webapp.store.engine import within
from webapp.store.flow import Flow
from webapp.store.tables import attempts, counters, deliveries, gates

FAILURES = ("failed", "dead")
NO_TRY = "expired"  # these are among the dead, but nothing was tried
FEW_MINUTES = 180  # asked for one by one; more are read as a range
FAILED_OUTCOMES = frozenset({"failed", "timed_out", "discarded", "crashed"})


def recent_tries(conn: Connection, flow: Flow, window: timedelta, now: datetime) -> Tries:
    """The tries of the last ``window`` (to the whole minute, rounded up) since the breaker was last closed."""
    start, counted = minute_of(now - window), None
    if flow.counted_from is not None:
        counted = minute_of(flow.counted_from)
        start = max(start, counted)
    tries = _tries(conn, flow.subscription_id, start, minute_of(now))
    return tries.minus(flow.base) if start == counted else tries


def tries_of_minute(conn: Connection, subscription_id: str, now: datetime) -> Tries:
    """What this minute has so far: a breaker that closes does not count it again."""
    return _tries(conn, subscription_id, minute_of(now), minute_of(now))


def _tries(conn: Connection, subscription_id: str, first: int, last: int) -> Tries:
    c = counters.c
    in_time = c.minute.between(first, last)
    if last - first < FEW_MINUTES:  # a probe per minute beats reading what everybody else did
        in_time = c.minute.in_(range(first, last + 1))
    query = (
        select(c.measure, func.sum(c.n).label("n"))
        .where(in_time, c.subject == subscription_id, c.measure.in_(("succeeded", *FAILURES, NO_TRY)))
        .group_by(c.measure)
    )
    found = {row.measure: int(row.n) for row in conn.execute(query)}
    failed = sum(found.get(measure, 0) for measure in FAILURES) - found.get(NO_TRY, 0)
    return Tries(found.get("succeeded", 0), max(0, failed))


def probing_with(conn: Connection, delivery_ids: Sequence[str]) -> Collection[str]:
    """Subscriptions whose half-open breaker waits for one of these deliveries."""
    query = select(gates.c.subscription_id).where(
        gates.c.breaker == BreakerState.HALF_OPEN, within(conn, gates.c.probe_id, delivery_ids)
    )
    return set(conn.execute(query).scalars())


def verdict_of(conn: Connection, flow: Flow) -> Verdict | None:
    """What the probe showed; None while it is still on its way."""
    probe = conn.execute(select(deliveries).where(deliveries.c.id == flow.probe_id)).one_or_none()
    if probe is None or probe.state in ("cancelled", "skipped"):
        return Verdict.UNCLEAR
    if probe.state == "succeeded":
        return Verdict.SUCCEEDED
    outcome = _outcome_since(conn, probe, flow.probe_attempt or 0)
    if outcome in FAILED_OUTCOMES or (probe.state == "dead" and probe.reason != "expired"):
        return Verdict.FAILED
    if outcome is not None or probe.state in ("held", "dead"):
        return Verdict.UNCLEAR  # snoozed, given back, held by a person, expired
    return None


def _outcome_since(conn: Connection, probe: Any, attempt: int) -> str | None:
    """How its newest attempt after that one ended; None while there is no such attempt, or it is running."""
    if probe.attempt <= attempt or probe.state == "running":
        return None
    query = select(attempts.c.outcome).where(attempts.c.delivery_id == probe.id, attempts.c.n == probe.attempt)
    return conn.execute(query).scalar_one_or_none()
