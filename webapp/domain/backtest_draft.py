"""What may be asked of a backtest: the one door for the form and the API alike. Every fault is named at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from webapp.domain.backtest import rule_to_test
from webapp.domain.conditions import parse_condition
from webapp.domain.errors import Fault, Refused
from webapp.domain.faults import refusal, unknown_fields
from webapp.domain.routing import Rule, parse_pattern

FIELDS = ("pattern", "condition", "subscription_id", "before")
ID_CHARS = 64


@dataclass(frozen=True, slots=True)
class BacktestDraft:
    """A rule to be tried, the saved one to compare it with, and the uid of the event before which to begin ("")."""

    rule: Rule
    subscription_id: str | None
    before: str


def parse_backtest(document: Any) -> BacktestDraft:
    """Pattern and condition as in a subscription, and what to compare with. Raises ``Refused`` with every fault."""
    if not isinstance(document, dict):
        fault = Fault("", "wrong-type", "A backtest is a JSON object with a pattern, and a condition if there is one.")
        raise refusal("invalid-subscription", "backtest", [fault])
    faults = unknown_fields("A backtest", document, FIELDS)
    pattern, condition, tree = "", None, document.get("condition")
    try:
        pattern = parse_pattern(document.get("pattern"))
    except Refused as error:
        faults += error.faults
    try:
        condition = None if tree is None else parse_condition(tree, "/condition")
    except Refused as error:
        faults += error.faults
    ids = {name: _id(document.get(name), name, faults) for name in ("subscription_id", "before")}
    if faults:
        raise refusal("invalid-subscription", "backtest", faults, own_slugs={"unsupported-pattern"})
    return BacktestDraft(rule_to_test(pattern, condition), ids["subscription_id"], ids["before"] or "")


def _id(value: Any, name: str, faults: list[Fault]) -> str | None:
    if value is None or (isinstance(value, str) and 1 <= len(value) <= ID_CHARS and value.isprintable()):
        return value
    faults.append(Fault(f"/{name}", "invalid-value", "Must be an id as the hub gives them."))
    return None
