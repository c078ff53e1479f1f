"""Loose index scans: the first rows of each value of a column, without reading what lies between.

Neither database jumps from one value of an index to the next by itself. A recursive query does: each step asks
the index for the first row behind the value before. It costs one descent per value, however many rows a value has.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, Select, Text, bindparam, func, literal, select, true
from sqlalchemy.dialects.postgresql import ARRAY

from webapp.store.tables import deliveries

# Made once: naming all the columns of a table anew costs more than running the statement.
FIRST, AHEAD, NEXT, ROW = (deliveries.alias(name) for name in ("first_row", "ahead", "next_row", "row"))

# The conditions of one look at the index, for the alias of the table that it is given.
Where = Callable[[Any], Sequence[ColumnElement[bool]]]


def first_of_each(
    column: str, order: Sequence[str], where: Where, limit: int, after: Any = None, carry: Sequence[str] = ()
) -> CTE:
    """The first row of each value of ``column`` behind ``after``, as (id, value, n, and ``carry``), ``limit`` at most.

    What is needed of the rows is carried along: PostgreSQL cannot tell how few there are, and would join the table whole.
    """
    first, ahead, row = FIRST, AHEAD, NEXT
    seed = select(first.c.id, first.c[column].label("value"), *_labelled(first, carry)).where(*where(first))
    if after is not None:
        seed = seed.where(first.c[column] > after)
    seed = seed.order_by(first.c[column], *(first.c[name] for name in order)).limit(1)
    begin = seed.subquery("begin")
    found = select(*begin.c, literal(1).label("n")).cte("found", recursive=True)
    following = (
        select(ahead.c.id)
        .where(*where(ahead), ahead.c[column] > found.c.value)
        .order_by(ahead.c[column], *(ahead.c[name] for name in order))
        .limit(1)
        .correlate(found)
        .scalar_subquery()
    )
    step = select(row.c.id, row.c[column], *(row.c[name] for name in carry), found.c.n + 1)
    return found.union_all(step.join_from(found, row, row.c.id == following).where(found.c.n < limit))


def _labelled(row: Any, names: Sequence[str]) -> list[Any]:
    return [row.c[name].label(f"its_{name}") for name in names]


def first_of_these(
    conn: Connection, column: str, values: Sequence[str], order: str, where: Where, carry: Sequence[str]
) -> Select[Any]:
    """The first row of each of these values, as (id, and ``carry``)."""
    listed, row, ahead = _listed(conn, values), ROW, AHEAD
    first = (
        select(ahead.c.id)
        .where(*where(ahead), ahead.c[column] == listed.c.value)
        .order_by(ahead.c[order])
        .limit(1)
        .correlate(listed)
        .scalar_subquery()
    )
    return select(row.c.id, *_labelled(row, carry)).join_from(listed, row, row.c.id == first)


def some_of_these(
    conn: Connection, column: str, values: Sequence[str], order: Sequence[str], where: Where, each: int, lock: bool
) -> Select[Any]:
    """(id, due_at, value) of the first ``each`` rows of each of these values. ``lock``: passing by those of others."""
    listed, row = _listed(conn, values), ROW
    if conn.dialect.name == "sqlite":
        some = _some(AHEAD, column, listed, order, where, each).with_only_columns(AHEAD.c.id).correlate(listed)
        return select(row.c.id, row.c.due_at, listed.c.value).join_from(listed, row, row.c.id.in_(some))
    some = _some(row, column, listed, order, where, each)
    picked = (some.with_for_update(skip_locked=True) if lock else some).lateral("picked")
    return select(picked.c.id, picked.c.due_at, listed.c.value).join_from(listed, picked, true())


def _some(row: Any, column: str, listed: Any, order: Sequence[str], where: Where, each: int) -> Select[Any]:
    found = select(row.c.id, row.c.due_at).where(*where(row), row.c[column] == listed.c.value)
    return found.order_by(*(row.c[name] for name in order)).limit(each)


def _listed(conn: Connection, values: Sequence[str]) -> Any:
    """A table of these values, as one bind parameter."""
    if conn.dialect.name == "sqlite":
        return func.json_each(bindparam(None, json.dumps(list(values)), Text)).table_valued("value", name="listed")
    return func.unnest(bindparam(None, list(values), ARRAY(Text))).table_valued("value", name="listed").render_derived()
