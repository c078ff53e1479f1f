"""Values inside JSON text, as SQL sees them: one ``Spot`` per place, on SQLite and on PostgreSQL.

A path without ``[*]`` leads to one place; with it, or when a list is spread, to rows of an EXISTS. Every
expression is NULL, never an error, where the place holds something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Numeric,
    Text,
    case,
    cast,
    column,
    func,
    literal,
    literal_column,
    null,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from webapp.domain.fields import Every
from webapp.store.tables import events

Steps = Sequence[str | int | Every]
Expr = ColumnElement[Any]

# What both databases call the kinds of JSON.
NULL, TRUE, FALSE, NUMBER, TEXT, LIST, OBJECT = ({"null"}, {"true"}, {"false"}, {"integer", "real", "number"}, {"text", "string"}, {"array"}, {"object"})  # fmt: skip
KINDS = {"null": NULL, "true or false": TRUE | FALSE, "a number": NUMBER, "text": TEXT}


@dataclass(frozen=True, slots=True)
class Spot:
    """One place: its kind (NULL: it is not there), and what it holds if it is a text or a number."""

    kind: Expr
    text: Expr
    number: Expr


@dataclass(frozen=True, slots=True)
class Rows:
    """Places of one event: rows of ``tables``, each a ``spot``; ``given`` sorts out what is no such place."""

    tables: tuple[FromClause, ...]
    spot: Spot
    given: tuple[Expr, ...] = ()


def is_simple(step: str | int | Every) -> bool:
    """Whether SQL can take the step: a name is written in JSON text, and in a path of SQLite, just as it is."""
    if step is Every.FLAT:
        return False
    return not isinstance(step, str) or (step.isascii() and step.isprintable() and not {'"', "\\"} & set(step))


def spot_of_text(text: Expr) -> Spot:
    """A column that holds a text or NULL."""
    return Spot(case((text.is_not(None), "text")), text, cast(null(), Numeric))


def spot_of_number(number: Expr) -> Spot:
    """A column that holds a number."""
    return Spot(literal("number"), cast(null(), Text), number)


class SqliteJson:
    """``json_type``, ``json_extract`` and ``json_each``."""

    def __init__(self, document: Expr) -> None:
        self._document = document

    def at(self, steps: Steps) -> Spot:
        """The place that a path without ``[*]`` leads to."""
        return _sqlite_spot(self._document, _path(steps))

    def each_at(self, steps: Steps) -> Rows:
        """The place, or if it holds a list, its elements. (``json_each`` would take an object apart as well.)"""
        path = _path(steps)
        kind = func.json_type(self._document, path)
        each = _json_each(case((kind != "object", self._document)), path)
        return Rows((each,), _row_spot(each))

    def every(self, steps: Steps) -> Rows:
        """All places that a path with ``[*]`` meets."""
        document, tables, rest = self._document, [], list(steps)
        while Every.ELEMENT in rest:
            star = rest.index(Every.ELEMENT)
            path, rest = _path(rest[:star]), rest[star + 1 :]
            each = _json_each(case((func.json_type(document, path) == "array", document)), path)
            tables.append(each)
            document = case((each.c.type.in_(("array", "object")), each.c.value))
        if not rest:
            return Rows(tuple(tables), _row_spot(tables[-1]))
        spot = _sqlite_spot(document, _path(rest))
        return Rows(tuple(tables), spot, (spot.kind.is_not(None),))


def _path(steps: Steps) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f'."{step}"' for step in steps)


def _json_each(document: Expr, path: str) -> Any:
    return func.json_each(document, path).table_valued("type", "value").alias()


def _row_spot(each: Any) -> Spot:
    return Spot(each.c.type, each.c.value, each.c.value)


def _sqlite_spot(document: Expr, path: str) -> Spot:
    value = func.json_extract(document, path)
    return Spot(func.json_type(document, path), value, value)


class PostgresJson:
    """``jsonb``. Each place is the one column of a lateral subquery, so that the text is parsed once."""

    def __init__(self, document: Expr) -> None:
        self._document = cast(document, JSONB)

    def at(self, steps: Steps) -> Spot:
        """The place that a path without ``[*]`` leads to."""
        return _jsonb_spot(_descend(self._document, steps))

    def each_at(self, steps: Steps) -> Rows:
        """The place, or if it holds a list, its elements."""
        place = _lateral(_descend(self._document, steps))
        value = place.c.value
        spread = case((func.jsonb_typeof(value) == "array", value), (value.is_not(None), func.jsonb_build_array(value)))
        each = _elements(spread)
        return Rows((place, each), _jsonb_spot(each.c.value))

    def every(self, steps: Steps) -> Rows:
        """All places that a path with ``[*]`` meets."""
        value, tables, rest = self._document, [], list(steps)
        while Every.ELEMENT in rest:
            star = rest.index(Every.ELEMENT)
            place = _lateral(_descend(value, rest[:star]))
            each = _elements(case((func.jsonb_typeof(place.c.value) == "array", place.c.value)))
            tables += [place, each]
            value, rest = each.c.value, rest[star + 1 :]
        if not rest:
            return Rows(tuple(tables), _jsonb_spot(value))
        last = _lateral(_descend(value, rest))
        return Rows((*tables, last), _jsonb_spot(last.c.value), (last.c.value.is_not(None),))


def _descend(value: Expr, steps: Steps) -> Expr:
    for step in steps:
        key: Expr = literal_column(str(step)) if isinstance(step, int) else cast(literal(step), Text)
        value = value.op("->", return_type=JSONB())(key)
    return value


def _lateral(value: Expr) -> Any:
    """``OFFSET 0`` keeps PostgreSQL from copying the expression to wherever its value is used."""
    return select(value.label("value")).correlate(events).offset(literal_column("0")).lateral()


def _elements(array: Expr) -> Any:
    return func.jsonb_array_elements(array).table_valued(column("value", JSONB)).alias()


def _jsonb_spot(value: Expr) -> Spot:
    word, kind = value.op("#>>", return_type=Text())(literal_column("'{}'")), func.jsonb_typeof(value)
    return Spot(
        case((kind == "boolean", word), else_=kind),
        case((kind == "string", word)),
        case((kind == "number", cast(word, Numeric))),
    )
