"""Events for a backtest: newest first by keyset, streamed, and payloads only of those that a rule may need."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Label, case, literal, or_, select

from webapp.domain.events import Event
from webapp.domain.routing import Rule
from webapp.store.events import EVENT_COLUMNS, event_of_columns
from webapp.store.paging import escape_like
from webapp.store.tables import events

IN_MEMORY = 50  # rows; a payload may have a megabyte


def events_before(conn: Connection, before: str, rules: Sequence[Rule], limit: int) -> Generator[Event]:
    """The newest events older than ``before`` (a uid; "": from the newest on) as these rules need them.

    The payload of an event that no rule with a condition can meet is left out ({}): most bytes are never read.
    """
    columns = [_payload(rules) if column is events.c.payload else column for column in EVENT_COLUMNS]
    older = [events.c.uid < before] if before else []
    query = select(*columns).where(*older).order_by(events.c.uid.desc()).limit(limit)
    with conn.execute(query.execution_options(yield_per=IN_MEMORY)) as rows:
        for row in rows:
            yield event_of_columns(row)


def _payload(rules: Sequence[Rule]) -> Label[Any]:
    may_fit: list[ColumnElement[bool]] = [
        events.c.type.like("%".join(map(escape_like, rule.pattern.split("*"))), escape="\\")
        for rule in rules
        if rule.condition is not None
    ]
    empty = literal("{}")
    return (case((or_(*may_fit), events.c.payload), else_=empty) if may_fit else empty).label("payload")
