"""Read models of the subscription pages: the rules with how they fared over the last day.

The day comes from the per-minute counters in one range read, never from the deliveries themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select

from webapp.store import tables as t
from webapp.store.counters import minute_of
from webapp.store.engine import within
from webapp.store.paging import Page, escape_like, walk_by_name

HOURS = 24
PER_PAGE = 50
FEW = 3
NAMES_SHOWN = 500
TYPES_SHOWN = 2_000
ENDINGS = ("succeeded", "failed", "dead", "skipped")


@dataclass(frozen=True, slots=True)
class SubscriptionFilter:
    """What to list; empty text means: any."""

    words: str = ""  # in name, pattern or handler
    state: str = ""  # active, paused or breaker (it is not closed)


@dataclass(frozen=True, slots=True)
class Hour:
    """How the tries of one hour ended."""

    succeeded: int = 0
    failed: int = 0  # tries that will be repeated, and dead deliveries


@dataclass(frozen=True, slots=True)
class Health:
    """How a subscription fared over the last ``HOURS``."""

    succeeded: int = 0
    failed: int = 0  # tries that failed and were due again
    dead: int = 0
    skipped: int = 0
    hours: tuple[Hour, ...] = field(default_factory=lambda: (Hour(),) * HOURS)  # oldest first

    @property
    def ended(self) -> int:
        """Deliveries that came to an end."""
        return self.succeeded + self.dead + self.skipped

    @property
    def success(self) -> float | None:
        """Share of the deliveries that ended well, of those that ended well or dead."""
        judged = self.succeeded + self.dead
        return None if judged == 0 else self.succeeded / judged

    @property
    def peak(self) -> int:
        """The most tries in an hour."""
        return max(hour.succeeded + hour.failed for hour in self.hours)


@dataclass(frozen=True, slots=True)
class SubscriptionRow:
    """One rule as it stands."""

    id: str
    name: str
    pattern: str
    condition: Any
    transform: Any
    handler: str
    handler_known: bool
    options: dict[str, Any]
    retry: dict[str, Any]
    timeout_ms: int
    policies: dict[str, Any]
    mode: str
    code_set: str | None
    code_key: str | None
    paused_at: datetime | None
    pause_reason: str | None
    resume_at: datetime | None
    revision: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    health: Health

    @property
    def state(self) -> str:
        """``active``, ``paused`` or ``deleted``."""
        if self.deleted_at is not None:
            return "deleted"
        return "active" if self.paused_at is None else "paused"


_IN_STATE = {
    "active": t.subscriptions.c.paused_at.is_(None),
    "paused": t.subscriptions.c.paused_at.is_not(None),
    "breaker": t.subscriptions.c.id.in_(select(t.gates.c.subscription_id).where(t.gates.c.breaker != "closed")),
}


def list_subscriptions(
    conn: Connection, wanted: SubscriptionFilter, *, now: datetime, after: str = "", limit: int = PER_PAGE
) -> Page[SubscriptionRow]:
    """Subscriptions that are not deleted, by name; ``after`` is the cursor of the page before."""
    s = t.subscriptions.c
    query = select(t.subscriptions).where(s.deleted_at.is_(None))
    for word in wanted.words.lower().split()[:8]:
        like = f"%{escape_like(word)}%"
        fields = (s.name, s.pattern, s.handler)
        query = query.where(or_(*(func.lower(one).like(like, escape="\\") for one in fields)))
    if wanted.state:
        query = query.where(_IN_STATE[wanted.state])
    shown, following = walk_by_name(conn, query, t.subscriptions, after, limit)
    health, known = read_health(conn, [row.id for row in shown], now), _known_handlers(conn)
    found = tuple(_subscription(row, health.get(row.id, Health()), known) for row in shown)
    return Page(found, following)


def find_subscription(conn: Connection, subscription_id: str, now: datetime) -> SubscriptionRow | None:
    """One subscription, deleted ones too (history links to them), or ``None``."""
    row = conn.execute(select(t.subscriptions).where(t.subscriptions.c.id == subscription_id)).first()
    if row is None:
        return None
    return _subscription(row, read_health(conn, [row.id], now).get(row.id, Health()), _known_handlers(conn))


def list_names(conn: Connection) -> tuple[tuple[str, str], ...]:
    """``(id, name)`` of subscriptions, for the choices of a filter."""
    s = t.subscriptions.c
    query = select(s.id, s.name).where(s.deleted_at.is_(None)).order_by(s.name, s.id).limit(NAMES_SHOWN)
    return tuple((row.id, row.name) for row in conn.execute(query))


def known_types(conn: Connection) -> tuple[str, ...]:
    """The event types that were ever sent, by name; hops from type to type along ``ix_events_type_uid``."""
    e = t.events.c
    first = select(func.min(e.type).label("type")).cte("kinds", recursive=True)
    step = select(select(func.min(e.type)).where(e.type > first.c.type).scalar_subquery()).where(
        first.c.type.is_not(None)
    )
    kinds = first.union_all(step)
    query = select(kinds.c.type).where(kinds.c.type.is_not(None)).limit(TYPES_SHOWN)
    return tuple(conn.execute(query).scalars())


def recent_events(conn: Connection, event_types: Sequence[str], limit: int = 20) -> Sequence[Any]:
    """The newest events of these types (of any type when none is named), to try a condition on."""
    e = t.events.c
    query = select(e.uid, e.type, e.source, e.received_at).order_by(e.uid.desc()).limit(limit)
    if event_types:
        query = query.where(within(conn, e.type, event_types))
    return conn.execute(query).all()


def read_health(conn: Connection, ids: Sequence[str], now: datetime) -> dict[str, Health]:
    """The last day of these subscriptions; one without traffic is absent."""
    c = t.counters.c
    end = minute_of(now) // 60
    hour = c.minute.op("/")(60).label("hour")  # whole hours: integers divide to integers on both databases
    start = (end - HOURS + 1) * 60
    in_time = c.minute >= start
    if len(ids) <= FEW:  # a probe per minute beats reading what everybody else did all day
        in_time = c.minute.in_(range(start, minute_of(now) + 1))
    query = (
        select(c.subject, c.measure, hour, func.sum(c.n).label("n"))
        .where(in_time, c.measure.in_(ENDINGS), within(conn, c.subject, ids))
        .group_by(c.subject, c.measure, hour)
    )
    counts: dict[str, dict[tuple[str, int], int]] = defaultdict(dict)
    if ids:
        for row in conn.execute(query):
            counts[row.subject][row.measure, int(row.hour) - end + HOURS - 1] = int(row.n)
    return {subject: _health(found) for subject, found in counts.items()}


def _health(found: dict[tuple[str, int], int]) -> Health:
    def total(measure: str) -> int:
        return sum(n for (name, _), n in found.items() if name == measure)

    hours = tuple(
        Hour(found.get(("succeeded", i), 0), found.get(("failed", i), 0) + found.get(("dead", i), 0))
        for i in range(HOURS)
    )
    return Health(total("succeeded"), total("failed"), total("dead"), total("skipped"), hours)


def _known_handlers(conn: Connection) -> frozenset[str]:
    return frozenset(conn.execute(select(t.handlers.c.name)).scalars())


def _subscription(row: Row[Any], health: Health, known: frozenset[str]) -> SubscriptionRow:
    return SubscriptionRow(
        id=row.id,
        name=row.name,
        pattern=row.pattern,
        condition=row.condition,
        transform=row.transform,
        handler=row.handler,
        handler_known=row.handler in known,
        options=row.options or {},
        retry=row.retry or {},
        timeout_ms=row.timeout_ms,
        policies=row.policies,
        mode=row.mode,
        code_set=row.code_set,
        code_key=row.code_key,
        paused_at=row.paused_at,
        pause_reason=row.pause_reason,
        resume_at=row.resume_at,
        revision=row.revision,
        created_at=row.created_at,
        updated_at=row.updated_at,
        deleted_at=row.deleted_at,
        health=health,
    )
