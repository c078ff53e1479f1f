"""A condition as rows in nested groups, as people edit it: all, any or none of some comparisons and groups.

``rows_of`` and ``tree_of`` go back and forth without a loss. What is typed into a row is text until it is read; a row
into which nothing was typed does not count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from webapp.domain.condition_print import NUMBER, holds_text, print_values
from webapp.domain.condition_text import parse_values
from webapp.domain.errors import Refused
from webapp.domain.jsontext import parse_json, to_text
from webapp.domain.operators import OPERATORS, PRESENCE

# Which inputs an operator has; of ``scalar`` and ``ordered`` people also choose the kind of value.
SHAPES = {
    "eq": "scalar", "ne": "scalar", "in": "list", "not_in": "list", "prefix": "text", "suffix": "text",
    "contains": "text", "glob": "text", "cidr": "text", "gt": "ordered", "gte": "ordered", "lt": "ordered",
    "lte": "ordered", "between": "between", "exists": "none", "missing": "none", "is_type": "type",
    "before": "moment", "after": "moment",
}  # fmt: skip
KINDS = ("text", "number", "true", "false", "null")
CONSTANTS = {"true": True, "false": False, "null": None}
Path = tuple[int, ...]
Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison as it is typed."""

    field: str = ""
    op: str = "eq"
    value: str = ""
    high: str = ""  # the other end of between
    kind: str = "text"  # one of KINDS
    ci: bool = False
    each: bool = False  # every element, not any

    @property
    def is_blank(self) -> bool:
        """Whether nothing was typed."""
        return not (self.field.strip() or self.value.strip() or self.high.strip())


@dataclass(frozen=True, slots=True)
class Block:
    """A group: ``kind`` is all, any or none."""

    kind: str = "all"
    parts: tuple[Row | Block, ...] = ()


@dataclass(frozen=True, slots=True)
class Read:
    """The tree that rows say; ``faults`` by the place of the row, and where each part of the tree came from (``id``)."""

    tree: Tree | None
    faults: dict[Path, str]
    origins: dict[int, Path]


def fits_rows(value: Any) -> bool:
    """Whether the inputs of a form can hold every text of it: they know no line breaks."""
    if isinstance(value, dict):
        return all(fits_rows(key) and fits_rows(one) for key, one in value.items())
    return all(map(fits_rows, value)) if isinstance(value, list) else not isinstance(value, str) or value.isprintable()


def rows_of(tree: Tree | None) -> Block:
    """A valid condition as rows."""
    if tree is None:
        return Block()
    found = _part(tree)
    if isinstance(found, Row) or (found.kind == "all" and len(found.parts) == 1):
        return Block("all", (found,))
    return found


def _part(tree: Tree) -> Row | Block:
    for kind in ("all", "any"):
        if kind in tree:
            return Block(kind, tuple(map(_part, tree[kind])))
    if "not" not in tree:
        return _row(tree)
    inner = _part(tree["not"])
    if isinstance(inner, Block) and inner.kind == "any" and len(inner.parts) > 1:
        return Block("none", inner.parts)
    return Block("none", (inner,))


def _row(leaf: Tree) -> Row:
    field, op, value = leaf["field"], leaf["op"], leaf.get("value")
    ci, each = bool(leaf.get("ci")), leaf.get("each") == "all"
    if op in PRESENCE:
        return Row(field, op, ci=ci, each=each)
    if SHAPES[op] == "list":
        return Row(field, op, print_values(value or [], is_text=holds_text(field, op)), ci=ci, each=each)
    low, high = value if op == "between" and value else (value, "")
    return Row(field, op, _typed(low), _typed(high), _kind(low), ci, each)


def _typed(value: Any) -> str:
    if isinstance(value, str):
        return value
    return to_text(value) if _kind(value) == "number" else ""


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    return to_text(value) if value is None or isinstance(value, bool) else "number"


def tree_of(root: Block) -> Read:
    """What the rows say. Rows that cannot be read are in ``faults``, and stand in the tree as empty texts."""
    read = Read(None, {}, {})
    parts = _parts(root, (), read)
    if not parts:
        return read
    tree = parts[0] if root.kind == "all" and len(parts) == 1 else _grouped(root.kind, parts)
    return Read(tree, read.faults, read.origins)


def _parts(block: Block, path: Path, read: Read) -> list[Tree]:
    found = (_tree(part, (*path, n), read) for n, part in enumerate(block.parts))
    return [tree for tree in found if tree is not None]


def _tree(part: Row | Block, path: Path, read: Read) -> Tree | None:
    if isinstance(part, Row):
        tree = None if part.is_blank else _leaf(part, path, read)
    else:
        parts = _parts(part, path, read)
        tree = _grouped(part.kind, parts) if parts else None
    if tree is not None:
        read.origins[id(tree)] = path
    return tree


def _grouped(kind: str, parts: list[Tree]) -> Tree:
    if kind == "none":
        return {"not": parts[0] if len(parts) == 1 else {"any": parts}}
    return {kind: parts}


def _leaf(row: Row, path: Path, read: Read) -> Tree:
    leaf: Tree = {"field": row.field.strip(), "op": row.op}
    try:
        leaf |= _value(row)
    except ValueError as error:
        read.faults[path] = str(error)
        leaf["value"] = ""
    if row.ci and row.op in OPERATORS and OPERATORS[row.op].folds:
        leaf["ci"] = True
    return leaf | ({"each": "all"} if row.each else {})


def _value(row: Row) -> Tree:
    shape = SHAPES.get(row.op, "text")
    if shape == "none":
        return {}
    if shape == "list":
        return {"value": parse_values(row.value, is_text=holds_text(row.field.strip(), row.op))}
    if shape == "scalar" and row.kind in CONSTANTS:
        return {"value": CONSTANTS[row.kind]}
    if shape == "moment":
        value = row.value.strip()
        return {"value": f"now{value}" if value[:1] in ("+", "-") else value}
    read: Callable[[str], Any] = _number if row.kind == "number" and shape in ("scalar", "ordered", "between") else str
    return {"value": [read(row.value), read(row.high)] if shape == "between" else read(row.value)}


def _number(text: str) -> Any:
    text = text.strip()
    if not NUMBER.fullmatch(text):
        raise ValueError("Write a number, for example 100 or 19.99.")
    try:
        return parse_json(text.encode())
    except Refused as refused:
        raise ValueError(refused.detail) from None


# Editing: each gives a new root.


def add(root: Block, path: Path, part: Row | Block) -> Block:
    """One more part at the end of the group at ``path``."""
    return _changed(root, path, lambda block: Block(block.kind, (*block.parts, part)))


def remove(root: Block, path: Path) -> Block:
    """Without the part at ``path``."""
    if not path:
        return Block()
    *above, last = path
    return _changed(root, tuple(above), lambda one: Block(one.kind, (*one.parts[:last], *one.parts[last + 1 :])))


def _changed(block: Block, path: Path, change: Callable[[Block], Block]) -> Block:
    """The same with the group at ``path`` changed; a path that leads nowhere changes nothing."""
    if not path:
        return change(block)
    first, *rest = path
    inner = block.parts[first] if first < len(block.parts) else None
    if not isinstance(inner, Block):
        return block
    changed = _changed(inner, tuple(rest), change)
    return Block(block.kind, (*block.parts[:first], changed, *block.parts[first + 1 :]))
