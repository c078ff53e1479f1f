"""Read models of the events list and the event page, and the counts beside the navigation.

Reads only, newest first by keyset. No query may look at more than ``SCAN`` rows, and counts stop at a
cap: the pages stay quick however much history there is. Lists never load payloads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Subquery, func, select

from webapp.domain.conditions import Condition, event_view
from webapp.domain.ids import first_id_at
from webapp.store import feed_deliveries as feed
from webapp.store import tables as t
from webapp.store.condition_sql import compile_condition
from webapp.store.engine import within
from webapp.store.events import to_event
from webapp.store.feed_deliveries import AttemptRow, DeliveryRow
from webapp.store.feed_notifications import unread_of
from webapp.store.needs import newest_needing
from webapp.store.paging import COUNT_CAP, LIMIT, NEWER_CAP, SCAN, escape_like

WORKER_IS_LOST = timedelta(seconds=20)
ERRORS_WITHIN = timedelta(hours=24)
DELIVERIES_SHOWN = 100
ATTEMPTS_SHOWN = 300
ACTION_CAP = 1_000  # dead deliveries beyond this are not told apart: it is a flood
SUBJECT_CHARS = 200
TYPES_KNOWN = 200
JUDGED = 1_000  # events that a search reads whole, where SQL cannot say the condition
CHUNK = 100
Judge = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class NavCounts:
    """Counts beside the links of the sidebar; each stops one above its cap."""

    events: int
    deliveries: int  # that need action
    errors: int  # failed tries of the last day
    subscriptions: int
    workers: int  # seen lately
    notifications: int  # unread


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What to list; empty text and ``None`` mean: any. ``pattern`` is a type, or the start of one, or has ``*``."""

    pattern: str = ""
    status: str = ""
    source: str = ""
    since: datetime | None = None
    until: datetime | None = None
    condition: Condition | None = None
    now: datetime | None = None  # what ``now-1h`` in the condition refers to

    def __bool__(self) -> bool:
        return bool(self.pattern or self.status or self.source or self.since or self.until or self.condition)


@dataclass(frozen=True, slots=True)
class EventRow:
    """One line of the list."""

    uid: str
    id: str
    type: str
    source: str
    version: int
    subject: str | None
    status: str
    received_at: datetime
    total: int
    open: int
    succeeded: int
    failed: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some rows, newest first, and whether there are others on either side."""

    rows: tuple[EventRow, ...]
    newer: bool = False
    older: str | None = None  # cursor of what follows
    scanned_out: bool = False  # the search stopped at SCAN rows; ``older`` goes on from there

    @property
    def newest(self) -> str:
        """The cursor of the first row."""
        return self.rows[0].uid if self.rows else ""


@dataclass(frozen=True, slots=True)
class EventDetail:
    """Everything that is known of one event itself."""

    uid: str
    id: str
    type: str
    source: str
    version: int
    subject: str | None
    status: str
    timestamp: datetime
    received_at: datetime
    received_by: str
    payload: str
    labels: dict[str, str]
    correlation_id: str | None
    causation_id: str | None
    trace_id: str | None
    duplicates: int
    duplicate_at: datetime | None
    total: int
    open: int
    succeeded: int
    failed: int
    problem: str | None
    deliver_at: datetime | None
    depth: int


@dataclass(frozen=True, slots=True)
class EventProgress:
    """What became of one event: the newest of what may be much, and how much there is."""

    deliveries: tuple[DeliveryRow, ...]  # oldest first
    attempts: tuple[AttemptOf, ...]  # oldest first


@dataclass(frozen=True, slots=True)
class AttemptOf:
    """A try and whose it was."""

    delivery_id: str
    attempt: AttemptRow


def nav_counts(conn: Connection, *, user_id: str, now: datetime) -> NavCounts:
    """All counts in one statement."""
    a, s, w = t.attempts.c, t.subscriptions.c, t.workers.c
    day = first_id_at("att", _ms(now - ERRORS_WITHIN))
    counted = {
        "events": select(t.events.c.uid),
        "deliveries": newest_needing(conn, ACTION_CAP + 1).order_by(None),
        "errors": select(a.id).where(a.error_type.is_not(None), a.id >= day),
        "subscriptions": select(s.id).where(s.deleted_at.is_(None)),
        "workers": select(w.name).where(w.seen_at > now - WORKER_IS_LOST, w.kind != "beat"),
        "notifications": unread_of(user_id, now),
    }
    columns = [capped_count(query, COUNT_CAP).label(name) for name, query in counted.items()]
    return NavCounts(**conn.execute(select(*columns)).one()._mapping)


def list_events(
    conn: Connection, wanted: EventFilter, *, before: str = "", after: str = "", through: str = "", limit: int = LIMIT
) -> EventPage:
    """A page of events: older than ``before``, or the ones next to ``after``, or from ``through`` on, or the newest."""
    if after:
        return _newer_page(conn, wanted, after, limit)
    bounds = [t.events.c.uid < before] if before else [t.events.c.uid <= through] if through else []
    window = _window(wanted, *bounds).order_by(t.events.c.uid.desc()).limit(SCAN)
    rows, stopped_at = _matching(conn, window, wanted, limit, descending=True)
    older = rows[limit - 1].uid if len(rows) > limit else stopped_at
    scanned_out = stopped_at is not None
    if older is None and _needs_search(wanted):
        older = conn.execute(window.offset(SCAN - 1).limit(1)).scalar()
        scanned_out = older is not None
    return EventPage(tuple(rows[:limit]), newer=bool(before), older=older, scanned_out=scanned_out)


def find_row(conn: Connection, uid: str) -> EventRow | None:
    """One line of the list, or ``None``."""
    row = conn.execute(_rows().where(t.events.c.uid == uid)).first()
    return None if row is None else _event_row(row)


def rows_by_uid(conn: Connection, uids: Sequence[str]) -> tuple[EventRow, ...]:
    """These events as lines, newest first."""
    if not uids:
        return ()
    query = _rows().where(within(conn, t.events.c.uid, list(uids))).order_by(t.events.c.uid.desc())
    return tuple(_event_row(row) for row in conn.execute(query))


def count_newer(conn: Connection, wanted: EventFilter, newest: str) -> int:
    """How many match that came after ``newest``; stops at ``NEWER_CAP + 1``."""
    window = _window(wanted, t.events.c.uid > newest).order_by(t.events.c.uid.desc()).limit(SCAN).subquery()
    e = t.events.c
    clauses, judge = _searched(conn, wanted)
    if judge is not None:
        return len(_judged(conn, window, clauses, judge, NEWER_CAP + 1, descending=True)[0])
    query = select(e.uid).join(window, window.c.uid == e.uid).where(*clauses)
    return conn.execute(select(capped_count(query, NEWER_CAP))).scalar_one()


def known_types(conn: Connection) -> tuple[str, ...]:
    """Event types seen lately, for suggestions."""
    latest = select(t.events.c.type).order_by(t.events.c.uid.desc()).limit(SCAN // 5).subquery()
    query = select(latest.c.type).distinct().order_by(latest.c.type).limit(TYPES_KNOWN)
    return tuple(conn.execute(query).scalars())


def find_event(conn: Connection, uid: str) -> EventDetail | None:
    """One event, or ``None``."""
    names = EventDetail.__dataclass_fields__
    row = conn.execute(select(*(t.events.c[name] for name in names)).where(t.events.c.uid == uid)).first()
    return None if row is None else EventDetail(**row._mapping)


def sender_name(conn: Connection, received_by: str) -> str:
    """The name of the user or API key that an event came from, or "" when there is none to tell."""
    kind, _, key = received_by.partition(":")
    named = {"user": (t.users.c.username, t.users.c.id), "key": (t.api_keys.c.name, t.api_keys.c.id)}.get(kind)
    return "" if named is None else conn.execute(select(named[0]).where(named[1] == key)).scalar() or ""


def progress_of(conn: Connection, uid: str) -> EventProgress:
    """Deliveries and tries of one event."""
    deliveries = feed.deliveries_of_event(conn, uid, limit=DELIVERIES_SHOWN)
    a = t.attempts.c
    names = AttemptRow.__dataclass_fields__
    cut = {"error_message": feed.TEXT_CHARS, "stack": feed.STACK_CHARS, "result": feed.RESULT_CHARS}
    columns = [func.substr(a[name], 1, cut[name]).label(name) if name in cut else a[name] for name in names]
    query = select(a.delivery_id, *columns).where(a.event_uid == uid).order_by(a.id.desc()).limit(ATTEMPTS_SHOWN)
    rows = conn.execute(query).all()
    attempts = [AttemptOf(row.delivery_id, AttemptRow(**{n: row._mapping[n] for n in names})) for row in rows]
    return EventProgress(deliveries, tuple(reversed(attempts)))


def capped_count(query: Select[Any], cap: int) -> ColumnElement[int]:
    return select(func.count()).select_from(query.limit(cap + 1).subquery()).scalar_subquery()


def _newer_page(conn: Connection, wanted: EventFilter, after: str, limit: int) -> EventPage:
    window = _window(wanted, t.events.c.uid > after).order_by(t.events.c.uid).limit(SCAN)
    rows, _ = _matching(conn, window, wanted, limit, descending=False)
    if len(rows) <= limit:  # the top is reached: show it whole
        return list_events(conn, wanted, limit=limit)
    shown = tuple(reversed(rows[:limit]))
    return EventPage(shown, newer=True, older=shown[-1].uid)


def _window(wanted: EventFilter, *bounds: ColumnElement[bool]) -> Select[Any]:
    """The rows to look through, cut by what an index carries."""
    e = t.events.c
    query = select(e.uid).where(*bounds)
    if wanted.status:
        query = query.where(e.status == wanted.status)
    if wanted.since is not None:
        query = query.where(e.uid >= first_id_at("evt", _ms(wanted.since)))
    if wanted.until is not None:
        query = query.where(e.uid < first_id_at("evt", _ms(wanted.until)))
    return query


def _needs_search(wanted: EventFilter) -> bool:
    return bool(wanted.pattern or wanted.source or wanted.condition)


def _searched(conn: Connection, wanted: EventFilter) -> tuple[list[ColumnElement[bool]], Judge | None]:
    """What no index carries in the order of the list; and the last word, where SQL cannot say all of it."""
    e = t.events.c
    found: list[ColumnElement[bool]] = []
    if wanted.pattern:
        pattern = wanted.pattern if "*" in wanted.pattern else wanted.pattern + "*"
        found.append(e.type.like("%".join(escape_like(part) for part in pattern.split("*")), escape="\\"))
    if wanted.source:
        found.append(e.source == wanted.source)
    if wanted.condition is None:
        return found, None
    condition, now = wanted.condition, wanted.now
    compiled = compile_condition(condition, conn.dialect.name, now)
    found.append(compiled.clause)
    return found, None if compiled.exact else lambda row: condition.evaluate(event_view(to_event(row), now)).verdict


def _matching(
    conn: Connection, window: Select[Any], wanted: EventFilter, limit: int, *, descending: bool
) -> tuple[list[EventRow], str | None]:
    """One more row than ``limit`` if there is one; and where a search stopped that reads the events themselves."""
    e, chosen = t.events.c, (window if _needs_search(wanted) else window.limit(limit + 1)).subquery()
    order = e.uid.desc() if descending else e.uid
    clauses, judge = _searched(conn, wanted)
    if judge is not None:
        uids, stopped_at = _judged(conn, chosen, clauses, judge, limit + 1, descending=descending)
        query = _rows().where(within(conn, e.uid, uids)).order_by(order)
        return [_event_row(row) for row in conn.execute(query)] if uids else [], stopped_at
    query = _rows().join(chosen, chosen.c.uid == e.uid).where(*clauses).order_by(order)
    return [_event_row(row) for row in conn.execute(query.limit(limit + 1))], None


def _judged(
    conn: Connection,
    chosen: Subquery,
    clauses: list[ColumnElement[bool]],
    judge: Judge,
    limit: int,
    *,
    descending: bool,
) -> tuple[list[str], str | None]:
    """Events that SQL lets through, read in chunks and judged; ``JUDGED`` at most, then the uid where it stopped."""
    e, uids, last = t.events.c, list[str](), ""
    query = select(t.events).join(chosen, chosen.c.uid == e.uid).where(*clauses)
    query = query.order_by(e.uid.desc() if descending else e.uid).limit(CHUNK)
    for _ in range(JUDGED // CHUNK):
        rows = conn.execute(query.where(e.uid < last if descending else e.uid > last) if last else query).all()
        uids += [row.uid for row in rows if judge(row)]
        if len(uids) >= limit or len(rows) < CHUNK:
            return uids[:limit], None
        last = rows[-1].uid
    return uids, last


def _rows() -> Select[Any]:
    e = t.events.c
    names = [name for name in EventRow.__dataclass_fields__ if name != "subject"]
    return select(*(e[name] for name in names), func.substr(e.subject, 1, SUBJECT_CHARS).label("subject"))


def _event_row(row: Row[Any]) -> EventRow:
    return EventRow(**row._mapping)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
