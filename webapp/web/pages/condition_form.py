"""The condition in a form: rows, text or JSON, of which one is there at a time and says all of it.

What cannot be read stays as it was typed. Names of inputs tell the place of a row: ``c-0-1-op``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from webapp.domain.condition_print import print_condition
from webapp.domain.condition_rows import SHAPES, Block, Path, Row, fits_rows, rows_of, tree_of
from webapp.domain.condition_text import MAX_CHARS, owner_of, parse_condition_text
from webapp.domain.conditions import parse_condition
from webapp.domain.errors import Fault, Refused
from webapp.domain.jsontext import parse_json

MODES = {"rows": "Rows", "text": "Text", "json": "JSON"}
JSON_CHARS = 20_000
VALUE_CHARS = 16_000
MAX_NODES = 200

_INPUT = re.compile(r"c((?:-[0-9]{1,3}){0,8})-(kind|field|op|value|high|as|type|ci|each)")


@dataclass(frozen=True, slots=True)
class Reading:
    """What the form says: the tree (``None``: every event), what is wrong, and with which rows."""

    tree: Any
    faults: tuple[Fault, ...] = ()
    rows: Mapping[Path, str] | None = None

    @property
    def by_row(self) -> Mapping[str, str]:
        """Messages by the id of the row."""
        return {"-".join(map(str, path)): message for path, message in (self.rows or {}).items()}


@dataclass(frozen=True, slots=True)
class ConditionForm:
    """One of the three forms; the others are empty."""

    mode: str = "rows"
    text: str = ""
    json: str = ""
    root: Block = field(default_factory=Block)

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> ConditionForm:
        """What a browser sent; without a word about the form it is the JSON in ``condition``."""
        mode = fields.get("condition_mode", "json")
        if mode == "rows":
            return cls("rows", root=_root(fields))
        if mode == "text":
            return cls("text", text=fields.get("condition_text", "")[: MAX_CHARS + 1])
        return cls("json", json=fields.get("condition", "")[:JSON_CHARS])

    @classmethod
    def from_tree(cls, tree: Any, mode: str = "rows") -> ConditionForm:
        """A stored condition; one that is not understood, or cannot be shown so, in a form that can."""
        try:
            if tree is not None:
                parse_condition(tree)
        except Refused:
            mode = "json"
        if mode == "rows":
            return cls("rows", root=rows_of(tree)) if fits_rows(tree) else cls.from_tree(tree, "text")
        if mode == "text":
            return cls("text", text="" if tree is None else print_condition(tree))
        return cls("json", json="" if tree is None else json.dumps(tree, ensure_ascii=False, indent=2))

    def read(self) -> Reading:
        """The tree and what is wrong with it, with pointers below ``/condition``."""
        if self.mode == "rows":
            return _read_rows(self.root)
        text = self.text if self.mode == "text" else self.json
        if not text.strip():
            return Reading(None)
        try:
            if self.mode == "text":
                return Reading(parse_condition_text(text).to_json())
            tree = parse_json(text.encode("utf-8", "surrogatepass"))
            parse_condition(tree)
        except Refused as refused:
            faults = refused.faults or (Fault("", refused.slug, refused.detail),)
            return Reading(None, tuple(Fault(f"/condition{one.pointer}", one.code, one.message) for one in faults))
        return Reading(tree)


def _read_rows(root: Block) -> Reading:
    read = tree_of(root)
    rows, whole = dict(read.faults), []
    if read.tree is not None:
        try:
            parse_condition(read.tree)
        except Refused as refused:
            for fault in refused.faults:
                place = owner_of(read.tree, fault.pointer, read.origins)
                if place is None:
                    whole.append(fault.message)
                else:
                    rows.setdefault(place, fault.message)
    told = [f"Row {'.'.join(str(n + 1) for n in place)}: {message}" for place, message in sorted(rows.items())]
    faults = tuple(Fault("/condition", "invalid-row", message) for message in (*told, *whole))
    return Reading(None if faults else read.tree, faults, rows)


def _root(fields: Mapping[str, str]) -> Block:
    nodes: dict[Path, dict[str, str]] = {}
    for name, value in fields.items():
        if found := _INPUT.fullmatch(name):
            path = tuple(int(part) for part in found[1].split("-")[1:])
            if path in nodes or len(nodes) < MAX_NODES:
                nodes.setdefault(path, {})[found[2]] = value[:VALUE_CHARS]
    return _block((), nodes)


def _block(path: Path, nodes: Mapping[Path, Mapping[str, str]]) -> Block:
    inner = sorted(one for one in nodes if len(one) == len(path) + 1 and one[:-1] == path)
    parts = tuple(_block(one, nodes) if "kind" in nodes[one] else _row(nodes[one]) for one in inner)
    kind = nodes.get(path, {}).get("kind", "all")
    return Block(kind if kind in ("all", "any", "none") else "all", parts)


def _row(given: Mapping[str, str]) -> Row:
    op = given.get("op", "eq")
    value = given.get("type" if SHAPES.get(op) == "type" else "value", "")
    kind = given.get("as", "text")
    return Row(given.get("field", ""), op, value, given.get("high", ""), kind, "ci" in given, "each" in given)
