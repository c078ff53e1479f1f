"""Which deliveries something is to be done to: a condition over their event, and what they are themselves.

``{"event": <condition>, "state": ["dead"], "subscription": ["sub_…"], "error": "TimeoutError", "since": "now-24h"}``;
every part is optional, all that are given must hold, and a list holds if one of its values does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from webapp.domain.conditions import Condition, parse_condition
from webapp.domain.errors import Fault, Refused
from webapp.domain.faults import CONTROL, pointer, refusal, unknown_fields
from webapp.domain.instants import iso
from webapp.domain.lifecycle import State
from webapp.domain.operators import parse_moment

ACTION = "action"  # no state: dead, neither run again nor dismissed
STATES = (ACTION, *(str(state) for state in State))
LISTS: dict[str, tuple[str, ...]] = {"state": STATES, "reason": (), "subscription": (), "handler": ()}
MOMENTS = ("since", "until", "finished_since", "finished_until")
NUMBERS = ("min_attempts", "max_attempts")
FIELDS = ("event", *LISTS, "error", *MOMENTS, *NUMBERS)
MAX_VALUES = 50
VALUE_CHARS = 200
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Selection:
    """Parsed; empty tuples and ``None`` mean: any. Moments are fixed: ``now-24h`` was resolved when it was read."""

    event: Condition | None = None
    state: tuple[str, ...] = ()
    reason: tuple[str, ...] = ()
    subscription: tuple[str, ...] = ()
    handler: tuple[str, ...] = ()
    error: str | None = None  # the type of the last error, or part of its message
    since: datetime | None = None  # created
    until: datetime | None = None
    finished_since: datetime | None = None
    finished_until: datetime | None = None
    min_attempts: int | None = None
    max_attempts: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The form that ``parse_selection`` reads back equal; only what is given."""
        document: dict[str, Any] = {} if self.event is None else {"event": self.event.to_json()}
        document |= {name: list(getattr(self, name)) for name in LISTS if getattr(self, name)}
        document |= {name: value for name in ("error", *NUMBERS) if (value := getattr(self, name)) is not None}
        return document | {name: iso(at) for name in MOMENTS if (at := getattr(self, name)) is not None}


def parse_selection(document: Any, now: datetime, at: str = "") -> Selection:
    """The selection that ``document`` describes; ``at`` is the pointer to it. Raises ``Refused`` with every fault."""
    reader = _Reader(now, at)
    selection = reader.read(document)
    if reader.faults or selection is None:
        raise refusal("invalid-selection", "selection", reader.faults, own_slugs={"unsupported-pattern"})
    return selection


@dataclass(slots=True)
class _Reader:
    """Reads one document, gathering its faults."""

    now: datetime
    at: str
    faults: list[Fault] = field(default_factory=list)

    def fault(self, name: str, code: str, message: str) -> None:
        self.faults.append(Fault(self.at + pointer(name), code, message))

    def read(self, document: Any) -> Selection | None:
        if not isinstance(document, dict):
            self.faults.append(Fault(self.at, "wrong-type", "Must be an object."))
            return None
        self.faults += unknown_fields("A selection", document, FIELDS, self.at)
        given = {name: value for name, value in document.items() if value is not None and name in FIELDS}
        values = {name: self.value(name, given[name]) for name in FIELDS if name in given}
        self.in_order(values, *MOMENTS[:2])
        self.in_order(values, *MOMENTS[2:])
        self.in_order(values, *NUMBERS)
        return None if self.faults else Selection(**values)

    def value(self, name: str, value: Any) -> Any:
        if name == "event":
            return self.condition(value)
        if name in LISTS:
            return self.listed(name, value, LISTS[name])
        if name in MOMENTS:
            return self.moment(name, value)
        return self.number(name, value) if name in NUMBERS else self.text(name, value)

    def condition(self, value: Any) -> Condition | None:
        try:
            return parse_condition(value, f"{self.at}/event")
        except Refused as refused:
            self.faults += refused.faults
            return None

    def listed(self, name: str, value: Any, choices: tuple[str, ...]) -> tuple[str, ...]:
        values = value if isinstance(value, list) else [value]
        if len(values) > MAX_VALUES:
            self.fault(name, "too-many", f"At most {MAX_VALUES} values.")
            return ()
        for n, one in enumerate(values):
            if not isinstance(one, str) or not 0 < len(one) <= VALUE_CHARS or CONTROL.search(one):
                self.fault_at(name, n, "invalid-value", f"Must be a text of 1 to {VALUE_CHARS} characters.")
            elif choices and one not in choices:
                self.fault_at(name, n, "unknown-choice", f"Choose among {', '.join(choices)}.")
        return tuple(dict.fromkeys(str(one) for one in values))

    def fault_at(self, name: str, n: int, code: str, message: str) -> None:
        self.faults.append(Fault(self.at + pointer(name, n), code, message))

    def moment(self, name: str, value: Any) -> datetime | None:
        try:
            if isinstance(value, str):
                return parse_moment(value)(self.now)
        except ValueError:
            pass
        self.fault(name, "invalid-value", "Give an instant as 2026-11-23T13:00:00Z, 2026-11-23, now or now-24h.")
        return None

    def number(self, name: str, value: Any) -> int | None:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1_000_000:
            return value
        self.fault(name, "invalid-value", "Must be a whole number from 0 to 1,000,000.")
        return None

    def text(self, name: str, value: Any) -> str | None:
        if isinstance(value, str) and 0 < len(value) <= VALUE_CHARS and not CONTROL.search(value):
            return value
        self.fault(name, "invalid-value", f"Must be a text of 1 to {VALUE_CHARS} characters.")
        return None

    def in_order(self, values: dict[str, Any], low: str, high: str) -> None:
        if values.get(low) is not None and values.get(high) is not None and values[low] > values[high]:
            self.fault(high, "contradiction", f"{high} must not lie before {low}.")
