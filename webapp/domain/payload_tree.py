"""A payload as a tree to be folded: some nodes at a time, each with the path that a condition would write. Pure.

Numbers stay the text that was sent. Nothing here is bounded by the payload: by how many nodes are asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

NODES = 400  # of one answer
CHILDREN = 100  # of one node, the others on demand
LINE_CHARS = 2_000  # of one value
DEEP = 3  # levels that are unfolded from the start
FOUND = 50
_PLAIN = re.compile(r"[^.\[\]\s\"\\]+")


class Number(str):
    """A number as it was written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Node:
    """One line of the tree. ``rest``: children from there on are to be asked for."""

    name: str
    path: str
    kind: str  # "object", "list", "string", "number", "word"
    text: str  # of a value; of a container, how much is in it
    children: tuple[Node, ...] = ()
    rest: int | None = None
    is_open: bool = False


def read(text: str) -> Any:
    """A stored payload; what is not JSON is itself a text."""
    try:
        return json.loads(text, parse_int=Number, parse_float=Number)
    except (ValueError, RecursionError):
        return text


def tree(payload: Any, path: str = "data", start: int = 0) -> Node | None:
    """The node at ``path`` with what fits into one answer, or ``None``."""
    value = payload if path == "data" else _at(payload, path)
    return None if value is _MISSING else _Growth().grow(path.rpartition(".")[2], path, value, 0, start)


def search(payload: Any, wanted: str) -> tuple[list[Node], bool]:
    """The first values whose key or text holds ``wanted``, in any case; and whether there are more."""
    needle = wanted.casefold()
    found = (
        Node(name, path, *_leaf(value))
        for name, path, value in _walk(payload, "data", "data")
        if needle in name.casefold()
        or (not isinstance(value, dict | list) and needle in str(to_line(value)).casefold())
    )
    nodes = list(islice(found, FOUND + 1))
    return nodes[:FOUND], len(nodes) > FOUND


def path_of(path: str, key: str) -> str:
    """The path of a key as the condition language writes it; one that it cannot write is shown in quotes."""
    return f"{path}.{key}" if _PLAIN.fullmatch(key) else f"{path}[{json.dumps(key, ensure_ascii=False)}]"


def to_line(value: Any) -> str:
    """A value as JSON in one line, cut."""
    if isinstance(value, Number):
        return str(value)[:LINE_CHARS]
    if isinstance(value, dict | list):
        return _count(value)
    return json.dumps(value, ensure_ascii=False)[:LINE_CHARS]


class _Growth:
    """Counts the nodes of one answer."""

    def __init__(self) -> None:
        self._left = NODES

    def grow(self, name: str, path: str, value: Any, depth: int, start: int = 0) -> Node:
        self._left -= 1
        kind, text = _leaf(value)
        if not isinstance(value, dict | list) or not value:
            return Node(name, path, kind, text)
        children: list[Node] = []
        if depth < DEEP:
            for key, child_path, child in islice(_children(value, path), start, start + CHILDREN):
                if self._left <= 0:
                    break
                children.append(self.grow(key, child_path, child, depth + 1))
        reached = start + len(children)
        return Node(name, path, kind, text, tuple(children), reached if reached < len(value) else None, bool(children))


_MISSING = object()


def _at(payload: Any, path: str) -> Any:
    """Walks down by the paths that ``_children`` gives, whatever the keys are."""
    value, here = payload, "data"
    while here != path:
        if not isinstance(value, dict | list):
            return _MISSING
        nearer = [
            (at, child)
            for _, at, child in _children(value, here)
            if path == at or path.startswith((at + ".", at + "["))
        ]
        if not nearer:
            return _MISSING
        here, value = max(nearer, key=lambda one: len(one[0]))
    return value


def _children(value: Any, path: str) -> Iterator[tuple[str, str, Any]]:
    if isinstance(value, dict):
        return ((key, path_of(path, key), child) for key, child in value.items())
    return ((str(n), f"{path}[{n}]", child) for n, child in enumerate(value))


def _walk(value: Any, name: str, path: str) -> Iterator[tuple[str, str, Any]]:
    yield name, path, value
    if isinstance(value, dict | list):
        for key, child_path, child in _children(value, path):
            yield from _walk(child, key, child_path)


def _leaf(value: Any) -> tuple[str, str]:
    kinds: list[tuple[Any, str]] = [(dict, "object"), (list, "list"), (Number, "number"), (str, "string")]
    kind = next((kind for of, kind in kinds if isinstance(value, of)), "word")
    return kind, to_line(value)


def _count(value: dict[str, Any] | list[Any]) -> str:
    n, noun = len(value), "key" if isinstance(value, dict) else "item"
    return f"{n:,} {noun}{'s' * (n != 1)}"
