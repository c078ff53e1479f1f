"""The fields that a condition may look at: ``type source subject id time version label.<k> data.<path>``.

A path goes through objects by name, into lists by ``[n]``, and over all elements by ``[*]``. ``[]`` goes through
lists, and lists in lists, if there are any: it stays where it is when there is none.
Reading never raises: what is not there is ``Absent``, with the reason in words for people.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from webapp.domain.faults import shown

ATTRIBUTES = ("type", "source", "subject", "id", "time", "version")
MAX_STEPS = 12
FIELD_CHARS = 512

_STEP = re.compile(r"\.([^.\[\]]{1,256})|\[([0-9]{1,6})\]|(\[\*?\])")
_LABEL_KEY = re.compile(r"[a-z0-9_.-]{1,64}")


class Every(Enum):
    """The steps over all elements: of a list, or of any lists there may be."""

    ELEMENT = "[*]"
    FLAT = "[]"


class Found(NamedTuple):
    """What a field holds; ``many`` when the path went over elements and ``value`` is the list of all that it met."""

    value: Any
    many: bool = False


class Absent(NamedTuple):
    """The event has no such field; ``note`` says so to people."""

    note: str


@dataclass(frozen=True, slots=True)
class Field:
    """A parsed field. ``steps`` follow ``root``; a label has its key as the only step."""

    text: str
    root: str
    steps: tuple[str | int | Every, ...] = ()

    def read(self, view: Mapping[str, Any]) -> Found | Absent:
        """The field's value in an event view (see ``conditions.event_view``)."""
        value = view.get(self.root)
        if value is None:
            return Absent(f"{self.text} is missing")
        for n, step in enumerate(self.steps):
            if not isinstance(step, str) or type(value) is not dict or step not in value:
                return self._descend(value, self.steps[n:])
            value = value[step]
        return Found(value)

    def _descend(self, value: Any, steps: tuple[str | int | Every, ...]) -> Found | Absent:
        values, many = [value], False
        for step in steps:
            before = values
            many = many or step is Every.ELEMENT or (step is Every.FLAT and isinstance(values[0], list))
            values = [child for item in values for child in _children(item, step)]
            if not values:
                return Absent(self._why(before, step))
        return Found(values, many=True) if many else Found(values[0])

    def _why(self, before: list[Any], step: str | int | Every) -> str:
        if isinstance(step, str) and any(isinstance(item, list) for item in before):
            return f"{self.text} is missing: {step!r} is looked for in a list, write [*] before it"
        return f"{self.text} is missing"


def parse_field(text: Any) -> Field:
    """The field that ``text`` names. Raises ``ValueError`` with words for people."""
    if not isinstance(text, str) or not text or len(text) > FIELD_CHARS:
        raise ValueError("Name a field, for example type or data.amount.")
    if text in ATTRIBUTES:
        return Field(text, text)
    if text.startswith("label."):
        key = text.removeprefix("label.")
        if not _LABEL_KEY.fullmatch(key):
            raise ValueError("A label's name has 1 to 64 characters of a-z, 0-9, _ . and -.")
        return Field(text, "label", (key,))
    if text == "data" or not text.startswith("data"):
        known = ", ".join(ATTRIBUTES)
        raise ValueError(f"There is no field {shown(text)!r}; known are {known}, label.<name> and data.<path>.")
    return Field(text, "data", _parse_steps(text.removeprefix("data")))


def _parse_steps(path: str) -> tuple[str | int | Every, ...]:
    steps: list[str | int | Every] = []
    at = 0
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            raise ValueError("A path is written as data.customer.name, data.items[0].sku or data.items[*].sku.")
        name, index, every = match.groups()
        steps.append(name if name is not None else int(index) if index is not None else Every(every))
        at = match.end()
    if len(steps) > MAX_STEPS:
        raise ValueError(f"A path has at most {MAX_STEPS} steps.")
    return tuple(steps)


def _children(item: Any, step: str | int | Every) -> list[Any]:
    if isinstance(step, str):
        return [item[step]] if isinstance(item, Mapping) and step in item else []
    if step is Every.FLAT:
        return _flat(item)
    if not isinstance(item, list):
        return []
    if isinstance(step, int):
        return item[step : step + 1]
    return item


def _flat(item: Any) -> list[Any]:
    return [leaf for one in item for leaf in _flat(one)] if isinstance(item, list) else [item]
