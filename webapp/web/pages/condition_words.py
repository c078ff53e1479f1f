"""The operators of a row in the words of people, those that fit a field, and hints of what to type."""

from __future__ import annotations

from dataclasses import dataclass

from webapp.domain.condition_rows import SHAPES
from webapp.domain.operators import OPERATORS, TIME_OPERATORS
from webapp.web.words import OPS

GROUPS = {
    "Value": ("eq", "ne", "in", "not_in"),
    "Text": ("prefix", "suffix", "contains", "glob", "cidr"),
    "Size": ("gt", "gte", "lt", "lte", "between"),
    "Time": ("before", "after"),
    "Presence": ("exists", "missing", "is_type"),
}
HINTS = {
    "list": 'red, "dark blue", 5',
    "moment": "now-1h or 2026-11-23T13:00:00Z",
    "glob": "order-*-de",
    "cidr": "10.0.0.0/8",
    "between": "from",
}
KIND_WORDS = {"text": "text", "number": "number", "true": "true", "false": "false", "null": "null"}
TYPE_WORDS = {"string": "text", "number": "number", "integer": "whole number", "boolean": "true or false",
              "null": "null", "object": "object", "array": "list"}  # fmt: skip
TEXT_ONLY = {"Value", "Text", "Presence"}  # groups for what is always text


@dataclass(frozen=True, slots=True)
class Offered:
    """One operator: its name, words, which inputs it has, and whether it fits the field."""

    name: str
    words: str
    shape: str
    hint: str
    folds: bool
    fits: bool


def offered_operators(field: str, group: str, chosen: str) -> list[Offered]:
    """The operators of a group for a field. The chosen one is always among those that fit: it was typed so."""
    return [offer(op, fits=op == chosen or _fits(field.strip(), group, op)) for op in GROUPS[group]]


def offer(op: str, *, fits: bool = True) -> Offered:
    """The operator for the form; one that is not known counts as the first."""
    op = op if op in SHAPES else "eq"
    shape = SHAPES[op]
    return Offered(op, OPS[op], shape, HINTS.get(op) or HINTS.get(shape, ""), OPERATORS[op].folds, fits)


def _fits(field: str, group: str, op: str) -> bool:
    if field == "time":
        return op in TIME_OPERATORS
    if field in ("type", "source", "subject", "id") or field.startswith("label."):
        return group in TEXT_ONLY and op != "is_type"
    return field != "version" or group in ("Value", "Size")
