"""Which subscriptions an event meets. A table is built once per revision and asked for every event.

Rules are indexed by the fixed parts of their pattern, so an event is compared only with rules that may match;
ten thousand others cost nothing. Patterns are globs over the event type: ``*`` is any run of characters, dots too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from webapp.domain.conditions import Condition, Trace, event_view
from webapp.domain.errors import Fault
from webapp.domain.events import Event, EventDraft
from webapp.domain.faults import refusal
from webapp.domain.globs import Glob
from webapp.domain.policies import Policies

PATTERN_CHARS = 128

Lane = Literal["default", "isolated"]
NO_POLICIES = Policies()

_PATTERN = re.compile(r"[a-z0-9._*-]+")


@dataclass(frozen=True, slots=True)
class Rule:
    """A subscription as routing sees it. ``held``: it is paused or its breaker is open, so its new deliveries wait."""

    id: str
    name: str
    pattern: str
    condition: Condition | None
    handler: str
    lane: Lane = "default"
    held: bool = False
    timeout_s: float = 30.0  # of one attempt
    policies: Policies = NO_POLICIES
    mode: str = "live"  # or "shadow"
    why_held: str = "paused"  # when it is: the reason of its new deliveries
    is_plain: bool = field(init=False, default=True)  # no policies, live: nothing of domain.intake concerns it

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_plain", self.mode == "live" and self.policies == NO_POLICIES)


@dataclass(frozen=True, slots=True)
class Considered:
    """A rule whose pattern fits the type, and whether its condition holds; ``trace`` is None without one."""

    rule: Rule
    matched: bool
    trace: Trace | None


def parse_pattern(text: Any, at: str = "/pattern") -> str:
    """The pattern, runs of stars folded into one. Raises ``Refused`` (422, ``invalid-pattern``)."""
    if not isinstance(text, str) or len(text) > PATTERN_CHARS or not _PATTERN.fullmatch(text):
        message = f"Write a type or a pattern as order.* with a-z 0-9 . _ - *; {PATTERN_CHARS} characters at most."
        raise refusal("invalid-pattern", "pattern", [Fault(at, "invalid-pattern", message)])
    return re.sub(r"\*+", "*", text)


def pattern_matches(pattern: str, event_type: str) -> bool:
    """Whether one pattern fits one type; ``RouteTable`` answers the same for many."""
    return Glob(pattern).matches(event_type)


@dataclass(slots=True)
class _Affix:
    """Rules by the fixed text at one end of their pattern."""

    rules: dict[str, list[_Entry]] = field(default_factory=dict)
    lengths: list[int] = field(default_factory=list)

    def add(self, text: str, entry: _Entry) -> None:
        self.rules.setdefault(text, []).append(entry)
        if len(text) not in self.lengths:
            self.lengths.append(len(text))


@dataclass(frozen=True, slots=True)
class _Entry:
    """A rule, its place among all rules, and what is left to compare when the index has done its part."""

    place: int
    rule: Rule
    rest: Glob | None


class RouteTable:
    """Rules, indexed. Immutable once built; safe to share between threads."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self._exact: dict[str, list[_Entry]] = {}
        self._prefix, self._suffix = _Affix(), _Affix()
        for place, rule in enumerate(self.rules):
            self._add(place, rule)

    def _add(self, place: int, rule: Rule) -> None:
        head, star, tail = rule.pattern.partition("*")
        if not star:
            self._exact.setdefault(head, []).append(_Entry(place, rule, None))
        elif not tail:  # order.* and *
            self._prefix.add(head, _Entry(place, rule, None))
        elif not head and "*" not in tail:  # *.created
            self._suffix.add(tail, _Entry(place, rule, None))
        elif not head and not tail.endswith("*"):  # *.order.*.paid
            self._suffix.add(tail.rpartition("*")[2], _Entry(place, rule, Glob(rule.pattern)))
        else:  # order.*.paid; *.order.* has no fixed end and is compared always
            self._prefix.add(head, _Entry(place, rule, Glob(rule.pattern)))

    def _reached(self, event_type: str) -> list[_Entry]:
        """What the indexes cannot rule out, in no order."""
        reached = list(self._exact.get(event_type, ()))
        size = len(event_type)
        for length in self._prefix.lengths:
            if length <= size:
                reached += self._prefix.rules.get(event_type[:length], ())
        for length in self._suffix.lengths:
            if length <= size:
                reached += self._suffix.rules.get(event_type[size - length :], ())
        return reached

    def candidates(self, event_type: str) -> list[Rule]:
        """The rules whose pattern fits, in the order in which they were given."""
        fitting = [e for e in self._reached(event_type) if e.rest is None or e.rest.matches(event_type)]
        fitting.sort(key=_place)
        return [entry.rule for entry in fitting]

    def route(self, event: EventDraft | Event, now: datetime | None = None) -> list[Considered]:
        """Every candidate with its verdict; ``now`` is what conditions like ``now-1h`` refer to."""
        candidates = self.candidates(event.type)
        if not candidates:
            return []
        view = event_view(event, now)
        return [_consider(rule, view) for rule in candidates]


def _place(entry: _Entry) -> int:
    return entry.place


def _consider(rule: Rule, view: Mapping[str, Any]) -> Considered:
    if rule.condition is None:
        return Considered(rule, True, None)
    trace = rule.condition.evaluate(view)
    return Considered(rule, trace.verdict, trace)
