"""Selections as SQL: walked by keyset in windows, so that one statement never looks at more than ``WINDOW`` rows.

What SQL cannot say of an event, the evaluator of conditions decides for each row of the window.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, and_, false, func, or_, select, true, union_all

from webapp.domain.conditions import event_view
from webapp.domain.ids import first_id_at
from webapp.domain.selections import ACTION, Selection
from webapp.store.condition_sql import Compiled, compile_condition
from webapp.store.engine import within
from webapp.store.events import EVENT_COLUMNS, event_of_columns
from webapp.store.needs import is_last_word
from webapp.store.tables import deliveries, events
from webapp.store.text_sql import DIALECTS

WINDOW = 2_000
Clause = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Scope:
    """What is walked: the selection at the moment ``now``, of what was there before ``now``.

    ``states`` are those that the operation can act on; ``None``: events are walked, not deliveries.
    """

    selection: Selection
    now: datetime
    states: Collection[str] | None
    newest_first: bool = False

    @property
    def key(self) -> Column[Any]:
        """What the walk goes by."""
        return events.c.uid if self.states is None else deliveries.c.id

    @property
    def prefix(self) -> str:
        """Of the ids that the walk goes by."""
        return "evt" if self.states is None else "dlv"


@dataclass(frozen=True, slots=True)
class Window:
    """The rows of one window that were selected, and where the next begins (``None``: there is none)."""

    rows: tuple[Row[Any], ...]
    next: str | None


def walk(conn: Connection, scope: Scope, cursor: str | None, size: int = WINDOW) -> Window:
    """The next window behind the cursor."""
    looked_at = list(conn.execute(_keys(scope, cursor, size)).scalars())
    last = str(looked_at[-1]) if len(looked_at) == size else None
    if not looked_at:
        return Window((), None)
    compiled = _compiled(conn, scope)
    query = _rows(scope, compiled).where(within(conn, scope.key, looked_at), *_searched(conn, scope), compiled.clause)
    found = conn.execute(query.order_by(_order(scope, scope.key))).all()
    return Window(tuple(row for row in found if compiled.exact or _holds(scope, row)), last)


def _keys(scope: Scope, cursor: str | None, size: int) -> Select[Any]:
    """The keys of the window. Each state is read along its own index: together they would have to be sorted."""
    key, bounds = scope.key, _bounds(scope)
    if cursor is not None:
        bounds.append(key < cursor if scope.newest_first else key > cursor)
    if scope.states is None:
        return select(key).where(*bounds).order_by(_order(scope, key)).limit(size)
    parts = [
        select(key).where(*bounds, deliveries.c.state == state).order_by(_order(scope, key)).limit(size).subquery()
        for state in _states(scope)
    ]
    if not parts:
        return select(key).where(false())
    keys = union_all(*(select(part.c.id) for part in parts)).subquery()
    return select(keys.c.id).order_by(_order(scope, keys.c.id)).limit(size)


def _order(scope: Scope, key: Any) -> Any:
    return key.desc() if scope.newest_first else key.asc()


def _compiled(conn: Connection, scope: Scope) -> Compiled:
    if scope.selection.event is None:
        return Compiled(true(), exact=True)
    return compile_condition(scope.selection.event, conn.dialect.name, scope.now)


def _rows(scope: Scope, compiled: Compiled) -> Select[Any]:
    contents = () if compiled.exact else EVENT_COLUMNS
    if scope.states is None:
        return select(events.c.uid.label("target"), events.c.type.label("event_type"), *contents).select_from(events)
    columns = [deliveries.c[name] for name in ("id", "event_uid", "subscription_id", "state")]
    joined = deliveries.join(events, events.c.uid == deliveries.c.event_uid)
    return select(*columns, deliveries.c.id.label("target"), events.c.type.label("event_type"), *contents).select_from(
        joined
    )


def _holds(scope: Scope, row: Row[Any]) -> bool:
    condition = scope.selection.event
    event = event_of_columns(tuple(row)[-len(EVENT_COLUMNS) :])
    return condition is None or condition.evaluate(event_view(event, scope.now)).verdict


def _bounds(scope: Scope) -> list[Clause]:
    """What an index bounds: the time, as the id tells it, and the subscription."""
    wanted, key = scope.selection, scope.key
    found = [key < _first(scope, min(scope.now, wanted.until or scope.now))]
    if wanted.since is not None:
        found.append(key >= _first(scope, wanted.since))
    if scope.states is None:
        return found
    if wanted.subscription:
        found.append(deliveries.c.subscription_id.in_(wanted.subscription))
    return found


def _first(scope: Scope, at: datetime) -> str:
    return first_id_at(scope.prefix, int(at.timestamp() * 1000))


def _states(scope: Scope) -> list[str]:
    asked = {"dead" if state == ACTION else state for state in scope.selection.state}
    able = {str(state) for state in scope.states or ()}
    return sorted(able & asked if asked else able)


def _searched(conn: Connection, scope: Scope) -> list[Clause]:
    """What is looked for among the rows of the window."""
    wanted, d = scope.selection, deliveries.c
    if scope.states is None:
        return [events.c.problem.is_(None)]
    found = [_in(d.reason, wanted.reason), _in(d.handler, wanted.handler)]
    if ACTION in wanted.state:
        others = [state for state in wanted.state if state != ACTION]
        found.append(or_(d.state.in_(others), needs_action()))
    if wanted.error is not None:
        contains = DIALECTS[conn.dialect.name].contains
        found.append(or_(d.error_type == wanted.error, func.coalesce(contains(d.error_message, wanted.error), False)))
    for column, low, high in (
        (d.finished_at, wanted.finished_since, wanted.finished_until),
        (d.attempt, wanted.min_attempts, wanted.max_attempts),
    ):
        found += [column >= low] if low is not None else []
        found += [column < high if column is d.finished_at else column <= high] if high is not None else []
    return found


def _in(column: Column[Any], values: Collection[str]) -> Clause:
    return column.in_(list(values)) if values else true()


def needs_action() -> Clause:
    """Dead, not dismissed, and no re-run took its place: as the page of what needs action has it."""
    d = deliveries.c
    return and_(d.state == "dead", d.dismissed_at.is_(None), is_last_word())
