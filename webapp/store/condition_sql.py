"""Conditions compiled to SQL over the table ``events``, for SQLite and for PostgreSQL.

SQL cannot say everything that the evaluator says (an instant inside a text, case folding beyond ASCII on
PostgreSQL). So each part is compiled to two clauses: ``most`` holds for at least the events that the evaluator
takes, ``least`` for at most these. Where they are one, SQL is exact; where not, the caller asks the evaluator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Text, and_, exists, false, func, literal, not_, or_, select, true, type_coerce

from webapp.domain.conditions import Condition, Group, Leaf, Node, Not
from webapp.domain.fields import Every
from webapp.domain.operators import PRESENCE, fold, kind_of, parse_moment
from webapp.store.json_sql import (
    KINDS,
    PostgresJson,
    Rows,
    Spot,
    SqliteJson,
    is_simple,
    spot_of_number,
    spot_of_text,
)
from webapp.store.tables import events
from webapp.store.text_sql import DIALECTS, begins_with, first

Clause = ColumnElement[bool]
DAY = timedelta(days=1)
DAY_CHARS = 10  # of 2026-11-23
COLUMNS = {"type": events.c.type, "source": events.c.source, "subject": events.c.subject, "id": events.c.id}
TYPE_KINDS = {
    "string": KINDS["text"],
    "number": KINDS["a number"],
    "integer": KINDS["a number"],
    "boolean": KINDS["true or false"],
    "null": KINDS["null"],
    "object": {"object"},
    "array": {"array"},
}


class Compiled(NamedTuple):
    """``clause`` holds for every event that the condition takes; unless ``exact``, for others too: ask the evaluator."""

    clause: Clause
    exact: bool


def compile_condition(condition: Condition, dialect: str, now: datetime | None = None) -> Compiled:
    """The condition as a clause over ``events``. ``now`` is what ``now-1h`` refers to, as in ``event_view``."""
    bounds = _Compiler(dialect, now).node(condition.root)
    return Compiled(bounds.most, bounds.is_exact)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Two clauses that the evaluator's verdict lies between. Neither is ever NULL."""

    most: Clause
    least: Clause

    @property
    def is_exact(self) -> bool:
        """Whether both are one."""
        return self.most is self.least

    def turned(self) -> Bounds:
        """Of the opposite."""
        return _map(lambda one: not_(one), Bounds(self.least, self.most))


def _sure(clause: Clause) -> Bounds:
    return Bounds(clause, clause)


UNKNOWN = Bounds(true(), false())


def _map(make: Callable[..., Clause], *parts: Bounds) -> Bounds:
    most = make(*(part.most for part in parts))
    if all(part.is_exact for part in parts):
        return _sure(most)
    return Bounds(most, make(*(part.least for part in parts)))


@dataclass(frozen=True, slots=True)
class _Test:
    """``comparable``: the value is of a kind that the operator compares; only then does ``holds`` count."""

    comparable: Clause
    holds: Bounds

    def verdict(self) -> Bounds:
        return _map(lambda holds: and_(self.comparable, holds), self.holds)


class _Compiler:
    """Compiles for one dialect and one moment."""

    def __init__(self, dialect: str, now: datetime | None) -> None:
        self._dialect, self._now = DIALECTS[dialect], now
        self._json = SqliteJson if dialect == "sqlite" else PostgresJson

    def node(self, node: Node) -> Bounds:
        if isinstance(node, Leaf):
            return self.leaf(node)
        if isinstance(node, Not):
            return self.node(node.part).turned()
        return self.group(node)

    def group(self, group: Group) -> Bounds:
        join = and_ if group.kind == "all" else or_
        return _map(lambda *parts: join(*parts), *(self.node(part) for part in group.parts))

    def leaf(self, leaf: Leaf) -> Bounds:
        field = leaf.field
        if field.root == "time":
            return self.time(leaf)
        if field.root in COLUMNS:
            return self.single(leaf, spot_of_text(COLUMNS[field.root]))
        if field.root == "version":
            return self.single(leaf, spot_of_number(events.c.version))
        if not all(map(is_simple, field.steps)):
            return UNKNOWN
        json = self._json(events.c.payload if field.root == "data" else type_coerce(events.c.labels, Text))
        if Every.ELEMENT in field.steps:
            return self.spread(leaf, json.every(field.steps))
        if leaf.op in PRESENCE or leaf.op == "is_type":
            return self.single(leaf, json.at(field.steps))
        return self.spread(leaf, json.each_at(field.steps))

    def time(self, leaf: Leaf) -> Bounds:
        if leaf.op in PRESENCE:
            return _sure(true() if leaf.op == "exists" else false())
        bound, at = parse_moment(leaf.value)(self._now), events.c.timestamp
        return _sure(false() if bound is None else at < bound if leaf.op == "before" else at > bound)

    def single(self, leaf: Leaf, spot: Spot) -> Bounds:
        if leaf.op in PRESENCE:
            return _sure(spot.kind.is_not(None) if leaf.op == "exists" else spot.kind.is_(None))
        return _map(_never_null, self.test(leaf, spot).verdict())

    def spread(self, leaf: Leaf, rows: Rows) -> Bounds:
        found = _exists(rows)
        if leaf.op in PRESENCE:
            return _sure(found if leaf.op == "exists" else not_(found))
        verdict = self.test(leaf, rows.spot).verdict()
        if leaf.each == "any":
            return _map(lambda holds: _exists(rows, holds), verdict)
        return _map(lambda holds: and_(found, not_(_exists(rows, not_(_never_null(holds))))), verdict)

    def test(self, leaf: Leaf, spot: Spot) -> _Test:
        made: _Test = getattr(self, f"_{leaf.op}")(leaf, spot)
        return made

    # One method per operator.

    def _eq(self, leaf: Leaf, spot: Spot) -> _Test:
        return self._among([leaf.value], leaf.ci, spot)

    def _ne(self, leaf: Leaf, spot: Spot) -> _Test:
        return _opposite(self._eq(leaf, spot))

    def _in(self, leaf: Leaf, spot: Spot) -> _Test:
        return self._among(leaf.value, leaf.ci, spot)

    def _not_in(self, leaf: Leaf, spot: Spot) -> _Test:
        return _opposite(self._in(leaf, spot))

    def _among(self, values: Sequence[Any], ci: bool, spot: Spot) -> _Test:
        kinds = {kind_of(value) for value in values}
        texts = sorted({fold(value, ci) for value in values if kind_of(value) == "text"})
        numbers = [self._dialect.number(value) for value in values if kind_of(value) == "a number"]
        words = sorted({str(value).lower() for value in values if isinstance(value, bool)})
        parts = [
            _sure(_is(spot, KINDS["null"])) if "null" in kinds else None,
            _sure(_is(spot, words)) if words else None,
            _sure(and_(_is(spot, KINDS["a number"]), spot.number.in_(numbers))) if numbers else None,
            self._of_text(spot, ci, lambda text: text.in_(texts)).verdict() if texts else None,
        ]
        holds = _map(lambda *some: or_(*some), *(part for part in parts if part is not None))
        return _Test(_is(spot, set().union(*(KINDS[kind] for kind in kinds))), holds)

    def _gt(self, leaf: Leaf, spot: Spot) -> _Test:
        return self._ordered(spot, leaf.value, lambda actual, bound: actual > bound)

    def _gte(self, leaf: Leaf, spot: Spot) -> _Test:
        return self._ordered(spot, leaf.value, lambda actual, bound: actual >= bound)

    def _lt(self, leaf: Leaf, spot: Spot) -> _Test:
        return self._ordered(spot, leaf.value, lambda actual, bound: actual < bound)

    def _lte(self, leaf: Leaf, spot: Spot) -> _Test:
        return self._ordered(spot, leaf.value, lambda actual, bound: actual <= bound)

    def _between(self, leaf: Leaf, spot: Spot) -> _Test:
        low = self._ordered(spot, leaf.value[0], lambda actual, bound: actual >= bound)
        high = self._ordered(spot, leaf.value[1], lambda actual, bound: actual <= bound)
        return _Test(low.comparable, _map(lambda *both: and_(*both), low.holds, high.holds))

    def _ordered(self, spot: Spot, value: Any, test: Callable[[Any, Any], Clause]) -> _Test:
        if kind_of(value) == "text":
            return self._of_text(spot, False, lambda text: test(text, literal(fold(value, False))))
        return _Test(_is(spot, KINDS["a number"]), _sure(test(spot.number, self._dialect.number(value))))

    def _is_type(self, leaf: Leaf, spot: Spot) -> _Test:
        whole = self._dialect.is_whole(spot.number) if leaf.value == "integer" else true()
        return _Test(_is(spot, TYPE_KINDS[leaf.value]), _sure(whole))

    def _cidr(self, leaf: Leaf, spot: Spot) -> _Test:
        """Left to the evaluator: an address is written in many ways."""
        return _Test(_is(spot, KINDS["text"]), UNKNOWN)

    def _before(self, leaf: Leaf, spot: Spot) -> _Test:
        return self._moment(spot, leaf.value, lambda day, bound: day <= _day(bound, DAY))

    def _after(self, leaf: Leaf, spot: Spot) -> _Test:
        return self._moment(spot, leaf.value, lambda day, bound: day >= _day(bound, -DAY))

    def _moment(self, spot: Spot, value: str, near: Callable[[Any, datetime], Clause]) -> _Test:
        """Only the day is compared, and it may be another one where the text was written: never exact."""
        bound, is_text = parse_moment(value)(self._now), _is(spot, KINDS["text"])
        if bound is None:
            return _Test(is_text, _sure(false()))
        return _Test(is_text, Bounds(near(first(spot.text, DAY_CHARS), bound), false()))

    def _prefix(self, leaf: Leaf, spot: Spot) -> _Test:
        return self._matching(leaf, spot, begins_with)

    def _suffix(self, leaf: Leaf, spot: Spot) -> _Test:
        return self._matching(leaf, spot, self._dialect.suffix)

    def _contains(self, leaf: Leaf, spot: Spot) -> _Test:
        return self._matching(leaf, spot, self._dialect.contains)

    def _glob(self, leaf: Leaf, spot: Spot) -> _Test:
        return self._matching(leaf, spot, self._dialect.glob)

    def _matching(self, leaf: Leaf, spot: Spot, matches: Callable[[Any, str], Clause]) -> _Test:
        target = fold(leaf.value, leaf.ci)
        return self._of_text(spot, leaf.ci, lambda text: matches(text, target))

    def _of_text(self, spot: Spot, ci: bool, test: Callable[[Any], Clause]) -> _Test:
        return _Test(_is(spot, KINDS["text"]), Bounds(*self._dialect.compared(spot.text, ci, test)))


def _opposite(test: _Test) -> _Test:
    return _Test(test.comparable, test.holds.turned())


def _is(spot: Spot, kinds: Any) -> Clause:
    return spot.kind.in_(sorted(kinds))


def _never_null(clause: Clause) -> Clause:
    return func.coalesce(clause, false())


def _exists(rows: Rows, *given: Clause) -> Clause:
    joined = reduce(lambda one, next_: one.join(next_, true()), rows.tables)
    return exists(select(literal(1)).select_from(joined).where(*rows.given, *given).correlate(events))


def _day(bound: datetime, shift: timedelta) -> str:
    try:
        return (bound + shift).date().isoformat()
    except OverflowError:
        return bound.date().isoformat()
