"""EventBridge patterns, read. Their rules (AWS: "Creating event patterns") differ from ours where it is easy to miss:

Alternatives stand in a list; lists in the event are flattened, those of objects on the way too (``[]`` in a path);
``anything-but`` is true of any other value, whatever its kind, but not of a missing one; an empty list is missing.
"""

from __future__ import annotations

import re
from typing import Any

from webapp.domain.faults import pointer, shown
from webapp.domain.imported import MAX_DEPTH, Import, Tree, joined

ROOTS = {"source": "source", "detail-type": "type", "type": "type", "id": "id", "subject": "subject"}
NESTED = {"detail": "data", "data": "data", "label": "label", "labels": "label"}
SIGNS = {"=": "eq", ">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
RANGE = 2

_UNSPEAKABLE = re.compile(r"[.\[\]]")
_WILD = re.compile(r"\\[*\\]|[*]")
Path = tuple[str, ...]


def read_pattern(found: Import, pattern: dict[str, Any]) -> list[Tree]:
    """The parts of which all must hold."""
    reader = _Reader(found)
    return reader.pattern(pattern, (), "", 1)


class _Reader:
    """Reads one pattern. A path begins with the root of our field; the empty one is the event itself."""

    def __init__(self, found: Import) -> None:
        self.found = found

    def pattern(self, pattern: Any, path: Path, at: str, depth: int) -> list[Tree]:
        if not isinstance(pattern, dict) or not pattern or depth > MAX_DEPTH:
            self.found.fault(at, "wrong-type", "Must be an object with at least one field.")
            return []
        parts: list[Tree] = []
        for key, value in pattern.items():
            here = at + pointer(key)
            if key == "$or":
                parts += self.either(value, path, here, depth)
            elif inner := self.step(path, key, here):
                parts += self.field(value, inner, here, depth)
        if len(path) > 1 and len(pattern) > 1:
            self.note(f"If {_name(path)} is a list of objects, EventBridge wants all in the same one.")
        return parts

    def step(self, path: Path, key: str, at: str) -> Path:
        if path:
            if not key or _UNSPEAKABLE.search(key):
                self.found.fault(at, "invalid-field", "A field here cannot have . [ or ] in its name, nor be empty.")
                return ()
            return (*path, key)
        root = ROOTS.get(key) or NESTED.get(key)
        if root is None:
            known = ", ".join([*ROOTS, *NESTED])
            self.found.fault(at, "unknown-field", f"Events have no {shown(key)!r} here; there are {known}.")
        return (root,) if root else ()

    def field(self, value: Any, path: Path, at: str, depth: int) -> list[Tree]:
        is_nested = path[0] in NESTED.values()
        if isinstance(value, dict) and is_nested and (path[0] == "data" or len(path) == 1):
            return self.pattern(value, path, at, depth + 1)
        if not isinstance(value, list) or not value or (is_nested and len(path) == 1):
            self.found.fault(at, "wrong-type", "Must be a list of one or more values or filters.")
            return []
        return [tree for tree in [self.alternatives(value, path, at)] if tree]

    def either(self, patterns: Any, path: Path, at: str, depth: int) -> list[Tree]:
        if not isinstance(patterns, list) or len(patterns) < RANGE:
            self.found.fault(at, "wrong-type", "$or takes a list of two or more patterns.")
            return []
        parts = [self.pattern(one, path, f"{at}/{n}", depth + 1) for n, one in enumerate(patterns)]
        return [{"any": [joined("all", some) for some in parts if some]}] if all(parts) else []

    # The list beside a field.

    def alternatives(self, values: list[Any], path: Path, at: str) -> Tree | None:
        plain = [value for value in values if not isinstance(value, dict | list)]
        parts = [self.among(plain, path, at)] if plain else []
        for n, value in enumerate(values):
            if isinstance(value, list):
                self.found.fault(f"{at}/{n}", "wrong-type", "A list stands in a list.")
            elif isinstance(value, dict):
                parts += [tree for tree in [self.filter(value, path, f"{at}/{n}")] if tree]
        return joined("any", parts) if parts else None

    def among(self, values: list[Any], path: Path, at: str) -> Tree:
        if len(values) == 1:
            return self.leaf(at, path, "eq", values[0])
        return self.leaf(at, path, "in", values)

    def filter(self, document: dict[str, Any], path: Path, at: str) -> Tree | None:
        if len(document) != 1:
            self.found.fault(at, "wrong-type", f"A filter is an object with one of {', '.join(FILTERS)}.")
            return None
        ((name, value),) = document.items()
        if name not in FILTERS:
            message = f"The filter {shown(name)!r} is not understood here; known: {', '.join(FILTERS)}."
            self.found.fault(at + pointer(name), "unknown-filter", message)
            return None
        tree: Tree | None = getattr(self, f"_{FILTERS[name]}")(value, path, at + pointer(name))
        return tree

    # One method per filter.

    def _affix(self, op: str, value: Any, path: Path, at: str, **more: Any) -> Tree | None:
        """The start or the end of a text, perhaps without upper and lower case; of the empty one, any text."""
        if isinstance(value, dict) and list(value) == ["equals-ignore-case"]:
            return self._affix(op, value["equals-ignore-case"], path, at, ci=True, **more)
        if not isinstance(value, str):
            self.found.fault(at, "wrong-type", "Must be a text.")
            return None
        if not value:
            return self.leaf(at, path, "is_type", "string", each=more.get("each", "any"))
        return self.leaf(at, path, op, value, **more)

    def _prefix(self, value: Any, path: Path, at: str, **more: Any) -> Tree | None:
        return self._affix("prefix", value, path, at, **more)

    def _suffix(self, value: Any, path: Path, at: str, **more: Any) -> Tree | None:
        return self._affix("suffix", value, path, at, **more)

    def _ignore_case(self, value: Any, path: Path, at: str, **more: Any) -> Tree | None:
        if not isinstance(value, str):
            self.found.fault(at, "wrong-type", "Must be a text.")
            return None
        return self.leaf(at, path, "eq", value, ci=True, **more)

    def _exists(self, value: Any, path: Path, at: str) -> Tree | None:
        if not isinstance(value, bool):
            self.found.fault(at, "wrong-type", "Must be true or false.")
            return None
        return self.leaf(at, path, "exists" if value else "missing", flat=True)

    def _cidr(self, value: Any, path: Path, at: str) -> Tree | None:
        return self.leaf(at, path, "cidr", value)

    def _wildcard(self, value: Any, path: Path, at: str, **more: Any) -> Tree | None:
        """``*`` is any run of characters; ``\\*`` and ``\\\\`` stand for themselves, and so does ``?``."""
        if not isinstance(value, str) or not value:
            self.found.fault(at, "wrong-type", "Must be a text that is not empty.")
            return None
        pieces, text = _pieces(value), "".join(_pieces(value))
        if len(pieces) == 1:
            return self.leaf(at, path, "eq", text, **more)
        if "" in pieces[1:-1]:
            self.found.fault(at, "invalid-value", "Two * must not stand side by side.")
            return None
        affix = {(False, True): "prefix", (True, False): "suffix"}.get((not pieces[0], not pieces[-1]))
        if len(pieces) == RANGE and affix:
            return self.leaf(at, path, affix, text, **more)
        if len(pieces) == RANGE + 1 and not pieces[0] and not pieces[-1]:
            return self.leaf(at, path, "contains", text, **more)
        if {"?", "*"} & set(text):
            message = "A wildcard between texts that hold ? or \\* cannot be said here: glob has no sign for them."
            self.found.fault(at, "unsupported-pattern", message)
            return None
        return self.leaf(at, path, "glob", "*".join(pieces), **more)

    def _numeric(self, value: Any, path: Path, at: str) -> Tree | None:
        pairs = list(zip(value[::2], value[1::2], strict=False)) if isinstance(value, list) else []
        sound = pairs and len(value) == RANGE * len(pairs) and all(_is_bound(*pair) for pair in pairs)
        if not sound or len(pairs) > RANGE or (len(pairs) == RANGE and not _is_range(pairs)):
            self.found.fault(at, "invalid-value", 'Must be as ["=", 5], [">", 0] or [">", 0, "<=", 5].')
            return None
        if [sign for sign, _ in pairs] == [">=", "<="]:
            return self.leaf(at, path, "between", [bound for _, bound in pairs])
        if len(pairs) == RANGE:
            self.note(f"If {_name(path)} is a list, EventBridge wants one number between the two bounds.")
        return joined("all", [self.leaf(at, path, SIGNS[sign], bound) for sign, bound in pairs])

    def _anything_but(self, value: Any, path: Path, at: str) -> Tree | None:
        """There is a value, and not every one is as said."""
        if isinstance(value, dict) and len(value) == 1:
            ((name, values),) = value.items()
            excluded = self.excluded(name, values, path, at + pointer(name))
        else:
            excluded = self.among_all(value, path, at)
        if not excluded:
            return None
        return {"all": [self.leaf(at, path, "exists", flat=True), *({"not": tree} for tree in excluded)]}

    def excluded(self, name: str, values: Any, path: Path, at: str) -> list[Tree]:
        if name not in ("prefix", "suffix", "wildcard", "equals-ignore-case"):
            self.found.fault(at, "unknown-filter", f"anything-but does not go with {shown(name)!r}.")
            return []
        listed = values if isinstance(values, list) else [values]
        if name == "equals-ignore-case":
            return self.among_all(values, path, at, ci=True)
        read = getattr(self, f"_{FILTERS[name]}")
        if len(listed) > 1 and path[0] == "data":
            self.note(f"If {_name(path)} is a list, EventBridge wants one element that is like none of {len(listed)}.")
        found = [read(one, path, at, each="all", flat=True) for one in listed]
        return [tree for tree in found if tree] if all(found) else []

    def among_all(self, values: Any, path: Path, at: str, **more: Any) -> list[Tree]:
        listed = values if isinstance(values, list) else [values]
        if not listed or any(isinstance(one, dict | list) for one in listed):
            self.found.fault(at, "wrong-type", "Must be a value, or a list of values.")
            return []
        return [self.leaf(at, path, "in", listed, each="all", flat=True, **more)]

    def leaf(self, at: str, path: Path, op: str, value: Any = None, *, flat: bool = False, **more: Any) -> Tree:
        """``flat``: also the last step goes through lists, so that an empty one is missing."""
        name = _name(path, flat=flat)
        if "[" not in name:
            more.pop("each", None)
        if more.get("each") == "any":
            del more["each"]
        if op == "in" and len(value) == 1:
            op, value = "eq", value[0]
        return self.found.leaf(at, name, op, value, **more)

    def note(self, text: str) -> None:
        self.found.notes.append(text)


FILTERS = {
    "prefix": "prefix",
    "suffix": "suffix",
    "equals-ignore-case": "ignore_case",
    "anything-but": "anything_but",
    "numeric": "numeric",
    "exists": "exists",
    "cidr": "cidr",
    "wildcard": "wildcard",
}


def _name(path: Path, *, flat: bool = False) -> str:
    """``data.items[].sku[]``: through lists on the way, if there are any."""
    if path[0] != "data":
        return ".".join(path)
    through = "[]" if len(path) > RANGE or flat else ""
    return f"data.{'[].'.join(path[1:])}{through}" if len(path) > 1 else "data"


def _pieces(wildcard: str) -> list[str]:
    """The texts between the stars."""
    pieces, at = [""], 0
    for sign in _WILD.finditer(wildcard):
        pieces[-1] += wildcard[at : sign.start()]
        if sign[0] == "*":
            pieces.append("")
        else:
            pieces[-1] += sign[0][1]
        at = sign.end()
    pieces[-1] += wildcard[at:]
    return pieces


def _is_bound(sign: Any, bound: Any) -> bool:
    return isinstance(sign, str) and sign in SIGNS and isinstance(bound, int | float) and not isinstance(bound, bool)


def _is_range(pairs: list[tuple[str, float]]) -> bool:
    (low, least), (high, most) = pairs
    return low in (">", ">=") and high in ("<", "<=") and least < most
