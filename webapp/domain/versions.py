"""What differs between two documents of a subscription: field by field, and line by line inside a field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from webapp.domain.sensitive import masked
from webapp.domain.subscriptions import FIELDS

MAX_LINES = 2_000  # of a field that are compared line by line; comparing costs the square of it


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field that differs, as it may be shown. ``hidden``: it differs in what is hidden, too."""

    field: str
    before: Any
    after: Any
    hidden: bool = False

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {"field": self.field, "before": self.before, "after": self.after, "hidden": self.hidden}

    @property
    def lines(self) -> list[tuple[str, str]]:
        """The difference as ``(sign, line)``, where the sign is "-", "+" or a space."""
        return list(_diff(_lines(self.before), _lines(self.after)))


def field_changes(
    before: Mapping[str, Any], after: Mapping[str, Any], schemas: Mapping[str, Mapping[str, Any]]
) -> tuple[FieldChange, ...]:
    """What differs, in the order of the fields; ``schemas`` say by handler which options are hidden."""
    return tuple(
        _change(name, before, after, schemas) for name in FIELDS if before.get(name) != after.get(name)
    )  # fmt: skip


def _change(
    name: str, before: Mapping[str, Any], after: Mapping[str, Any], schemas: Mapping[str, Mapping[str, Any]]
) -> FieldChange:
    if name != "options":
        return FieldChange(name, before.get(name), after.get(name))
    shown = [masked(one.get("options"), schemas.get(str(one.get("handler")))) for one in (before, after)]
    return FieldChange(name, shown[0], shown[1], hidden=shown[0] == shown[1])


def _lines(value: Any) -> list[str]:
    if value is None or value == {}:
        return []
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return text.splitlines()


def _diff(before: list[str], after: list[str]) -> Iterator[tuple[str, str]]:
    if len(before) + len(after) > MAX_LINES:
        yield from (("-", line) for line in before)
        yield from (("+", line) for line in after)
        return
    for tag, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            yield from ((" ", line) for line in before[a:b])
            continue
        yield from (("-", line) for line in before[a:b])
        yield from (("+", line) for line in after[c:d])
