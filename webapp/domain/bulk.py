"""Bulk operations: what each kind does, to deliveries in which states, and when one ends itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from webapp.domain.errors import Fault, Refused
from webapp.domain.faults import refusal, unknown_fields
from webapp.domain.lifecycle import FINAL, OPEN, State
from webapp.domain.selections import Selection, parse_selection

REASON_CHARS = 500
DEFAULT_ABORT_RATE = 0.2
MIN_JUDGED = 20  # a share of fewer says nothing
SLOWEST, FASTEST = 0.01, 10_000.0  # items a second
FIELDS = ("kind", "selection", "reason", "pace", "abort_rate")


class Kind(StrEnum):
    """What is done to each item. The item of a replay is an event, of the others a delivery."""

    RETRY = "retry"  # try it now: dead ones get all their tries again
    RERUN = "rerun"  # run its event again for the same subscription, as a new delivery
    CANCEL = "cancel"
    REPLAY = "replay"  # run the event again for its subscriptions, or for those that were chosen


class Standing(StrEnum):
    """Where an operation stands."""

    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    ABORTED = "aborted"


ENDED = (Standing.DONE, Standing.ABORTED)
ACTS_ON: Mapping[Kind, frozenset[State]] = {
    Kind.RETRY: frozenset({State.DEAD, State.WAITING}),
    Kind.RERUN: FINAL,
    Kind.CANCEL: OPEN,
}
# What a person may ask for: the states that it starts from, and where it leads.
STEPS: Mapping[str, tuple[tuple[Standing, ...], Standing]] = {
    "pause": ((Standing.RUNNING,), Standing.PAUSED),
    "resume": ((Standing.PAUSED,), Standing.RUNNING),
    "abort": ((Standing.RUNNING, Standing.PAUSED), Standing.ABORTED),
}


@dataclass(frozen=True, slots=True)
class BulkDraft:
    """A bulk operation as somebody asks for it."""

    kind: Kind
    selection: Selection
    reason: str
    pace: float | None  # items a second; None: as fast as it goes
    abort_rate: float | None  # share of failures that ends it; None: never


def parse_bulk(document: Any, now: datetime, *, with_reason: bool = True) -> BulkDraft:
    """The draft that ``document`` (parsed JSON) describes. Raises ``Refused`` (422) with every fault."""
    if not isinstance(document, dict):
        raise refusal("invalid-bulk", "bulk operation", [Fault("", "wrong-type", "Must be an object.")])
    faults = unknown_fields("A bulk operation", document, FIELDS)
    kind, selection = document.get("kind"), Selection()
    if kind not in tuple(Kind):
        faults.append(Fault("/kind", "unknown-choice", f"Choose one of {', '.join(Kind)}."))
    try:
        selection = parse_selection(document.get("selection", {}), now, "/selection")
    except Refused as refused:
        faults += refused.faults
    if kind == Kind.REPLAY:
        faults += _of_events_only(selection)
    reason = _reason(document.get("reason"), faults) if with_reason else ""
    pace = _number(document, "pace", SLOWEST, FASTEST, faults)
    rate = _number({"abort_rate": DEFAULT_ABORT_RATE} | document, "abort_rate", 0.0, 1.0, faults)
    if faults:
        raise refusal("invalid-bulk", "bulk operation", faults)
    return BulkDraft(Kind(str(kind)), selection, reason, pace, rate)


def _of_events_only(selection: Selection) -> list[Fault]:
    allowed = {"event", "subscription", "since", "until"}
    said = "A replay goes by events: event, subscription, since and until."
    return [Fault(f"/selection/{name}", "contradiction", said) for name in selection.to_json().keys() - allowed]


def _reason(value: Any, faults: list[Fault]) -> str:
    if isinstance(value, str) and value.strip() and len(value) <= REASON_CHARS and value.isprintable():
        return value.strip()
    code = "required" if value in (None, "") else "invalid-value"
    faults.append(Fault("/reason", code, f"Say why, in one line of at most {REASON_CHARS} characters."))
    return ""


def _number(document: Mapping[str, Any], name: str, low: float, high: float, faults: list[Fault]) -> float | None:
    value = document.get(name)
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
        return float(value)
    faults.append(Fault(f"/{name}", "invalid-value", f"Must be a number from {low:g} to {high:g}."))
    return None


def share_too_high(failed: int, judged: int, most: float | None) -> bool:
    """Whether the failures among those judged are more than what was allowed."""
    return most is not None and judged >= MIN_JUDGED and failed / judged > most
