"""Events: inserted once, never changed but for the counts that follow their deliveries."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Text, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from webapp.domain.errors import Conflict, NotFound
from webapp.domain.events import Event
from webapp.store.bulk import insert_rows
from webapp.store.engine import within
from webapp.store.tables import events

Sender = tuple[str, str]  # (source, sender's id): unique


def insert_events(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """Insert what is new; answers the uids that went in. A row whose (source, id) is known is left out."""
    fresh = [row for row in rows if row["id"] == row["uid"]]  # a generated id cannot clash
    named = sorted((row for row in rows if row["id"] != row["uid"]), key=lambda row: (row["source"], row["id"]))
    insert_rows(conn, events, fresh)
    inserted = {row["uid"] for row in fresh}
    for result in insert_rows(conn, events, named, "ON CONFLICT (source, id) DO NOTHING RETURNING uid"):
        inserted.update(result.scalars())
    return inserted


def find_by_sender(conn: Connection, senders: Sequence[Sender]) -> dict[Sender, Row[Any]]:
    """The stored events of these (source, id) pairs."""
    if not senders:
        return {}
    source, id = _listed(conn, senders)
    found = select(events).where(events.c.source == source, events.c.id == id)
    return {(row.source, row.id): row for row in conn.execute(found)}


def _listed(conn: Connection, senders: Sequence[Sender]) -> tuple[ColumnElement[str], ColumnElement[str]]:
    """Two columns of a table of these pairs, which has as few parameters as one of a single pair."""
    if conn.dialect.name == "sqlite":
        pairs = func.json_each(bindparam(None, json.dumps(senders), Text)).table_valued("value", name="pairs")
        return func.json_extract(pairs.c.value, "$[0]"), func.json_extract(pairs.c.value, "$[1]")
    columns = [bindparam(None, list(column), ARRAY(Text)) for column in zip(*senders, strict=True)]
    pairs = func.unnest(*columns).table_valued("source", "id", name="pairs").render_derived()
    return pairs.c.source, pairs.c.id


def count_duplicates(conn: Connection, times: Mapping[str, int], at: datetime) -> None:
    """Remember on the originals (by uid) that they were sent again."""
    statement = update(events).where(events.c.uid == bindparam("of"))
    statement = statement.values(duplicates=events.c.duplicates + bindparam("n"), duplicate_at=at)
    conn.execute(statement, [{"of": uid, "n": n} for uid, n in sorted(times.items())])


def is_open(conn: Connection, uid: str) -> bool:
    """Whether a delivery of it has not ended."""
    return bool(conn.execute(select(events.c.open > 0).where(events.c.uid == uid)).scalar())


def get_event_row(conn: Connection, key: str, source: str | None = None) -> Row[Any]:
    """By uid, else by the sender's id. Raises ``NotFound``, or ``Conflict`` when several senders used that id."""
    row = conn.execute(select(events).where(events.c.uid == key)).one_or_none()
    if row is not None:
        return row
    found = select(events).where(events.c.id == key)
    if source is not None:
        found = found.where(events.c.source == source)
    rows = conn.execute(found.limit(2)).all()
    if not rows:
        raise NotFound(f"There is no event {key[:80]!r}.")
    if len(rows) > 1:
        raise AmbiguousId(f"Several sources sent an event with the id {key[:80]!r}; add ?source= to choose one.")
    return rows[0]


class AmbiguousId(Conflict):
    """Several sources sent an event with this id."""

    slug, title = "ambiguous-id", "Ambiguous id"


EVENT_COLUMNS = tuple(events.c[name] for name in Event.__dataclass_fields__)  # in the order of the fields


def event_of_columns(row: Any) -> Event:
    """The domain's event of a row of ``EVENT_COLUMNS``: by position, for it is done for every delivery."""
    id, type, payload, *rest = row
    return Event(id, type, json.loads(payload), *rest)


def to_event(row: Any) -> Event:
    """The domain's event of a row of ``events``."""
    return Event(
        id=row.id,
        type=row.type,
        payload=json.loads(row.payload),
        timestamp=row.timestamp,
        source=row.source,
        version=row.version,
        subject=row.subject,
        labels=row.labels,
        uid=row.uid,
        received_at=row.received_at,
        correlation_id=row.correlation_id,
        causation_id=row.causation_id,
        trace_id=row.trace_id,
    )


Shift = tuple[int, int, int]  # change of (open, succeeded, failed)


def shift_counts(conn: Connection, shifts: Mapping[str, Shift]) -> None:
    """Move the counts of events (by uid). Increments, not recounts: two workers may finish at the same time."""
    if not shifts:
        return
    if conn.dialect.name == "postgresql":  # lock in one order, or two batches could wait for each other
        lock = select(events.c.uid).where(within(conn, events.c.uid, sorted(shifts)))
        conn.execute(lock.order_by(events.c.uid).with_for_update(key_share=True))
    alike: dict[Shift, list[str]] = defaultdict(list)
    for uid, shift in shifts.items():
        if any(shift):
            alike[shift].append(uid)
    for (opened, succeeded, failed), uids in alike.items():
        conn.execute(
            update(events)
            .where(within(conn, events.c.uid, uids))
            .values(
                open=events.c.open + opened,
                succeeded=events.c.succeeded + succeeded,
                failed=events.c.failed + failed,
            )
        )
