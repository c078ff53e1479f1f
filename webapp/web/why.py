"""Why a subscription did or did not run for an event: today's rules are asked again, and the answer put in words.

Rules may have changed since the event was routed; where what happened and what would happen now differ,
the words say so. Pure: rows in, words out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webapp.domain.conditions import Trace, parse_condition
from webapp.domain.errors import Refused
from webapp.domain.events import Event
from webapp.domain.routing import Considered, RouteTable, Rule

CLAUSES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """One subscription that was considered."""

    id: str
    name: str
    matched: bool
    state: str  # for the shape: succeeded (matched), held, or unrouted
    clauses: tuple[str, ...]  # what failed, as ``data.amount > 500 was 129.5``
    note: str


def explain(event: Event, rows: Iterable[Any], delivered: Mapping[str, bool], now: datetime) -> list[Verdict]:
    """The verdict of every rule that listens for this type. ``delivered`` has the subscriptions that got the event."""
    rules = [rule for row in rows if (rule := _rule(row)) is not None]
    verdicts = [_verdict(one, one.rule.id in delivered) for one in RouteTable(rules).route(event, now)]
    return sorted(verdicts, key=lambda one: not one.matched)


def _rule(row: Any) -> Rule | None:
    """A stored condition that is not understood any more is left out: it cannot match either."""
    try:
        condition = None if row.condition is None else parse_condition(row.condition)
    except Refused:
        return None
    lane = "isolated" if row.isolated else "default"
    return Rule(row.id, row.name, row.pattern, condition, row.handler, lane, held=row.paused_at is not None)  # type: ignore[arg-type]


def _verdict(one: Considered, was_delivered: bool) -> Verdict:
    rule = one.rule
    clauses = () if one.matched or one.trace is None else failed_clauses(one.trace)
    state = ("held" if rule.held else "succeeded") if one.matched else "unrouted"
    return Verdict(rule.id, rule.name, one.matched, state, clauses, _note(one, was_delivered))


def failed_clauses(trace: Trace) -> tuple[str, ...]:
    """The clauses that said no. None did: a ``not`` turned a yes around, so those that said yes are to blame."""
    said_no = [clause.text for clause in trace.clauses if not clause.verdict]
    return tuple((said_no or [clause.text for clause in trace.clauses])[:CLAUSES_SHOWN])


def _note(one: Considered, was_delivered: bool) -> str:
    if one.matched and not was_delivered:
        return "matches now; it was made or changed after this event"
    if one.matched:
        return "matched, is paused now" if one.rule.held else "matched"
    return "matched then, would not match now" if was_delivered else ""
