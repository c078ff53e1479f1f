"""What is different between two payloads: fields that were added, removed or changed, by their path. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from webapp.domain.payload_tree import path_of, to_line

SHOWN = 200
_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Change:
    """One field; ``before`` and ``after`` are short JSON, "" where there is none."""

    path: str
    kind: Literal["added", "removed", "changed"]
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Difference:
    """The first ``SHOWN`` changes."""

    changes: tuple[Change, ...]
    has_more: bool


def difference(old: Any, new: Any) -> Difference:
    """From the old payload to the new one. Elements of lists are compared by their place."""
    found = list(islice(_changes(old, new, "data"), SHOWN + 1))
    return Difference(tuple(found[:SHOWN]), len(found) > SHOWN)


def _changes(old: Any, new: Any, path: str) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*new, *(key for key in old if key not in new)]:
            yield from _changes(old.get(key, _NOTHING), new.get(key, _NOTHING), path_of(path, key))
    elif isinstance(old, list) and isinstance(new, list):
        for n in range(max(len(old), len(new))):
            yield from _changes(_item(old, n), _item(new, n), f"{path}[{n}]")
    elif old is _NOTHING:
        yield Change(path, "added", "", to_line(new))
    elif new is _NOTHING:
        yield Change(path, "removed", to_line(old), "")
    elif type(old) is not type(new) or old != new:
        yield Change(path, "changed", to_line(old), to_line(new))


def _item(items: list[Any], n: int) -> Any:
    return items[n] if n < len(items) else _NOTHING
