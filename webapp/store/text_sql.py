"""How the two databases compare texts and numbers: as the evaluator of conditions does, or saying that they cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Float,
    Integer,
    Numeric,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    not_,
    or_,
)

from webapp.store.paging import escape_like

Expr = ColumnElement[Any]
Clause = ColumnElement[bool]
Test = Callable[[Expr], Clause]
LARGEST_INTEGER = 2**63 - 1
ALL_WHOLE_FROM = 2**53  # from here on, every float is a whole number


class SqliteText:
    """The functions ``nfc`` and ``folded`` are the evaluator's own: ``webapp.store.engine`` lends them to SQLite."""

    def compared(self, text: Expr, ci: bool, test: Test) -> tuple[Clause, Clause]:
        """The test in its widest and its narrowest sense; one and the same where SQL knows for sure."""
        has_more = text.op("GLOB")("*[^\x01-\x7f]*")
        holds = test(func.folded(text) if ci else case((has_more, func.nfc(text)), else_=text))
        return holds, holds

    def number(self, value: float) -> Expr:
        """A float is read from its text, as those in the payload are: the same digits become the same number."""
        if isinstance(value, int) and abs(value) <= LARGEST_INTEGER:
            return literal(value)
        return cast(literal(repr(float(value)), Text), Float)

    def is_whole(self, number: Expr) -> Clause:
        """Casting would cut the largest ones off."""
        return or_(func.abs(number) >= ALL_WHOLE_FROM, number == cast(number, Integer))

    def suffix(self, text: Expr, target: str) -> Clause:
        """``substr`` takes less than it is asked for from a short text."""
        return func.substr(text, -len(target)) == target

    def contains(self, text: Expr, target: str) -> Clause:
        """Anywhere in it."""
        return func.instr(text, target) > 0

    def glob(self, text: Expr, pattern: str) -> Clause:
        """SQLite's own globs, but for their brackets."""
        return text.op("GLOB")(pattern.replace("[", "[[]"))


class PostgresText:
    """Texts are compared in collation "C", by code point. Of case folding it is sure for ASCII only."""

    def compared(self, text: Expr, ci: bool, test: Test) -> tuple[Clause, Clause]:
        """The test in its widest and its narrowest sense; one and the same where SQL knows for sure."""
        is_ascii = func.octet_length(text) == func.char_length(text)
        if ci:
            holds = test(func.lower(text.collate("C")))
            return or_(not_(is_ascii), holds), and_(is_ascii, holds)
        composed = func.normalize(text, literal_column("NFC"), type_=Text)
        holds = test(case((is_ascii, text), else_=composed).collate("C"))
        return holds, holds

    def number(self, value: float) -> Expr:
        """The shortest digits of a float sort as the floats do, and so do those in the payload."""
        return cast(literal(repr(value), Text), Numeric)

    def is_whole(self, number: Expr) -> Clause:
        """Without a fraction."""
        return number == func.trunc(number)

    def suffix(self, text: Expr, target: str) -> Clause:
        """At its end."""
        return func.right(text, len(target)) == target

    def contains(self, text: Expr, target: str) -> Clause:
        """Anywhere in it."""
        return func.strpos(text, target) > 0

    def glob(self, text: Expr, pattern: str) -> Clause:
        """As LIKE."""
        like = escape_like(pattern).replace("*", "%").replace("?", "_")
        return text.like(like, escape="\\")


Dialect = SqliteText | PostgresText
DIALECTS: dict[str, Dialect] = {"sqlite": SqliteText(), "postgresql": PostgresText()}


def first(text: Expr, count: int) -> Expr:
    """The first characters."""
    return func.substr(text, 1, count)


def begins_with(text: Expr, target: str) -> Clause:
    """LIKE would need care with wildcards, and SQLite's does not tell a from A."""
    return first(text, len(target)) == target
