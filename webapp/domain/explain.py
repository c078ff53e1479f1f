"""Why a subscription does or does not run for an event: the router's own code is asked, the answer kept and worded.

The rules of today are asked as of the moment when the event came. What happened then may differ, because rules
are made, changed and deleted; where it does, ``note`` says so. Pure: rules and facts in, verdicts out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from webapp.domain.conditions import Clause, Condition, Leaf, Node, Not, Trace
from webapp.domain.events import Event, EventDraft
from webapp.domain.routing import RouteTable, Rule

Would = Literal["run", "shadow", "held", "skip"]
Reason = Literal["pattern", "condition", "deleted"]

TOLD = 3  # clauses in a message
HELD = {
    "paused": "because it is paused",
    "breaker": "because its circuit breaker is open",
    "releasing": "until those before it are released",
}


@dataclass(frozen=True, slots=True)
class Known:
    """A subscription as it stands today. ``is_broken``: its stored condition is not understood any more.

    ``earlier`` is its rule when the event came, where it was edited since and that is still known.
    """

    rule: Rule
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None
    is_broken: bool = False
    earlier: Rule | None = None


@dataclass(frozen=True, slots=True)
class Happened:
    """The delivery that the event led to at a subscription."""

    delivery_id: str
    state: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a subscription would not run, and the clauses that are to blame when it is its condition."""

    reason: Reason
    message: str
    clauses: tuple[Clause, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        clauses = [clause.to_json() for clause in self.clauses]
        return {"reason": self.reason, "message": self.message, "clauses": clauses}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one subscription makes of one event."""

    known: Known
    fits: bool  # the pattern fits the type
    matched: bool  # and the condition holds
    would: Would
    trace: Trace | None
    failure: Failure | None
    happened: Happened | None
    note: str  # where what happened and today's rules differ, and what else is worth knowing; may be ""

    @property
    def rule(self) -> Rule:
        """The rule of today."""
        return self.known.rule

    @property
    def outlook(self) -> str:
        """What would be done, in words: ``would run``; "" when it is skipped."""
        return "" if self.would == "skip" else f"would {_said(self.rule, self.would)}"


def explain(
    event: Event | EventDraft,
    known: Iterable[Known],
    *,
    at: datetime,
    delivered: Mapping[str, Happened] | None = None,
    tells_values: bool = True,
) -> list[Verdict]:
    """The verdict of each subscription, whether its pattern fits or not; those that match come first.

    ``at`` is when the event came. ``delivered`` (by subscription) is what it led to; None: it was not sent at all.
    Without ``tells_values``, clauses say yes or no and not what the event held.
    """
    subscriptions = list(known)
    considered = {one.rule.id: one for one in RouteTable(one.rule for one in subscriptions).route(event, at)}
    verdicts = []
    for one in subscriptions:
        found = considered.get(one.rule.id)
        matched = found is not None and found.matched and not one.is_broken
        trace = _told_of(None if found is None else found.trace, tells_values)
        failure = _failure(one, event.type, found is not None, matched, trace)
        would = _would(one, failure)
        happened = None if delivered is None else delivered.get(one.rule.id)
        then = "" if one.earlier is None else _failed_then(one.earlier, event, at, tells_values)
        note = "" if delivered is None else _note(one, would, happened, at, then)
        verdicts.append(Verdict(one, found is not None, matched, would, trace, failure, happened, note))
    return sorted(verdicts, key=lambda one: (one.would == "skip", one.happened is None))


def as_it_came(event: Event) -> Event:
    """A stored event as the router saw it: an id that the hub gave it was not there yet."""
    return replace(event, id=None) if event.id == event.uid else event  # type: ignore[arg-type]


def blame(condition: Condition, trace: Trace) -> tuple[Clause, ...]:
    """The clauses without which the verdict would have been yes; inside a ``not``, those that said yes."""
    return tuple(_blamed(condition.root, True, iter(trace.clauses))[1])


def _blamed(node: Node, wanted: bool, clauses: Iterator[Clause]) -> tuple[bool, list[Clause]]:
    """The verdict of a node, and who is to blame when it is not the wanted one. Takes its clauses off the iterator."""
    if isinstance(node, Leaf):
        clause = next(clauses)
        return clause.verdict, [clause] if clause.verdict != wanted else []
    if isinstance(node, Not):
        verdict, found = _blamed(node.part, not wanted, clauses)
        return not verdict, found
    parts = [_blamed(part, wanted, clauses) for part in node.parts]
    verdict = (all if node.kind == "all" else any)(one for one, _ in parts)
    if verdict == wanted:
        return verdict, []
    return verdict, [clause for _, found in parts for clause in found]


def _failure(known: Known, event_type: str, fits: bool, matched: bool, trace: Trace | None) -> Failure | None:
    rule = known.rule
    if not fits:
        return Failure("pattern", f"The pattern {rule.pattern} does not fit {event_type}.")
    if known.is_broken:
        return Failure("condition", "Its condition is not understood any more.")
    if not matched and rule.condition is not None and trace is not None:
        clauses = blame(rule.condition, trace)
        return Failure("condition", _told(clauses), clauses)
    if known.deleted_at is not None:
        return Failure("deleted", "The subscription is deleted.")
    return None


def _told_of(trace: Trace | None, tells_values: bool) -> Trace | None:
    if trace is None or tells_values:
        return trace
    return Trace(trace.verdict, [clause.hidden() for clause in trace.clauses])


def _failed_then(earlier: Rule, event: Event | EventDraft, at: datetime, tells_values: bool) -> str:
    """What kept an event from a rule as it was then; "" when nothing did."""
    found = RouteTable([earlier]).route(event, at)
    if not found:
        return f"the pattern {earlier.pattern} did not fit"
    trace = _told_of(found[0].trace, tells_values)
    if found[0].matched or trace is None or earlier.condition is None:
        return ""
    return _told(blame(earlier.condition, trace))


def _told(clauses: Sequence[Clause]) -> str:
    return "; ".join(clause.text for clause in clauses[:TOLD])


def _would(known: Known, failure: Failure | None) -> Would:
    if failure is not None:
        return "skip"
    if known.rule.mode == "shadow":
        return "shadow"
    return "held" if known.rule.held else "run"


def _said(rule: Rule, would: Would) -> str:
    if would == "shadow":
        return "be recorded only, as its mode is shadow"
    if would == "held":
        return f"be held, {HELD.get(rule.why_held, rule.why_held)}"
    policies = rule.policies
    asked = [
        ("rate limit", policies.rate_limit),
        ("window for duplicates", policies.dedupe),
        ("debounce", policies.debounce),
    ]
    names = [name for name, policy in asked if policy is not None]
    return f"run, unless its {' or '.join(names)} skips it" if names else "run"


def _note(known: Known, would: Would, happened: Happened | None, at: datetime, then: str) -> str:
    """In words: what happened then, set against what would happen today."""
    today = "" if would == "skip" else f"today it would {_said(known.rule, would)}"
    if happened is not None:
        return _note_of_delivered(known, would, today)
    if known.created_at > at:
        return _joined("did not exist yet", today)
    if known.deleted_at is not None:
        return "was deleted before this event" if known.deleted_at <= at else "was deleted since"
    if known.updated_at > at:
        return _joined(f"was changed since (then: {then})" if then else "was changed since", today)
    return today and f"has no delivery of this event on record; {today}"


def _note_of_delivered(known: Known, would: Would, today: str) -> str:
    if known.deleted_at is not None:
        return "matched then, was deleted since"
    if would == "skip":
        return "matched then, would not match today"
    return "matched" if would == "run" else _joined("matched", today)


def _joined(then: str, today: str) -> str:
    return f"{then}; {today}" if today else then
