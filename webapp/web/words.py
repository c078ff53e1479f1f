"""Rules in the words of people: a condition, a retry policy and a delivery as a sentence each.

Pure text in, text out; templates escape it. A stored rule is never refused here: what is not understood
is shown as it is.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from webapp.domain.retry import RetryPolicy, preview

OPS = {
    "eq": "is",
    "ne": "is not",
    "in": "is one of",
    "not_in": "is none of",
    "prefix": "starts with",
    "suffix": "ends with",
    "contains": "contains",
    "glob": "looks like",
    "cidr": "is in the network",
    "gt": ">",
    "gte": "≥",
    "lt": "<",
    "lte": "≤",
    "between": "is between",
    "exists": "is present",
    "missing": "is missing",
    "is_type": "is a",
    "before": "is before",
    "after": "is after",
}
LISTED = 4
UNITS = ((86400, "day", "days"), (3600, "h", "h"), (60, "min", "min"), (1, "s", "s"))


def condition_in_words(tree: Any) -> str:
    """``data.amount > 500 and (type is order.paid or type is order.refunded)``."""
    return _node(tree, outer=True)


def duration_in_words(seconds: float) -> str:
    """``5 s``, ``2 min``, ``1 h 30 min``; the two largest units are enough for people."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    rest, parts = round(seconds), []
    for size, one, many in UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {one if count == 1 else many}")
    return " ".join(parts[:2]) or "0 s"


def retry_in_words(stored: Any) -> str:
    """``8 tries over at most 11 min``, from the stored form of a policy."""
    policy = RetryPolicy.from_json(stored)
    if policy.max_attempts == 1:
        return "one try"
    total = sum(preview(policy), timedelta()).total_seconds()
    said = f"up to {policy.max_attempts} tries over {duration_in_words(total)}"
    if policy.max_age_s is None or policy.max_age_s > total:
        return said
    return f"{said}, none later than {duration_in_words(policy.max_age_s)} after the delivery was made"


def _node(tree: Any, *, outer: bool = False) -> str:
    if not isinstance(tree, dict):
        return _value(tree)
    for key, joint in (("all", " and "), ("any", " or ")):
        if isinstance(tree.get(key), list):
            parts = [_node(one) for one in tree[key]]
            text = joint.join(parts) or ("anything" if key == "all" else "nothing")
            return text if outer or len(parts) < 2 else f"({text})"
    if "not" in tree:
        return f"not ({_node(tree['not'], outer=True)})"
    return _leaf(tree)


def _leaf(leaf: dict[str, Any]) -> str:
    field, op, value = leaf.get("field", "?"), leaf.get("op", "?"), leaf.get("value")
    said = OPS.get(op, str(op))
    every = "every " if leaf.get("each") == "all" else ""
    if op in ("exists", "missing"):
        return f"{every}{field} {said}"
    if op == "between" and isinstance(value, list) and len(value) == 2:
        return f"{every}{field} {said} {_value(value[0])} and {_value(value[1])}"
    return f"{every}{field} {said} {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, str):
        return value if value and " " not in value else json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        shown = ", ".join(_value(one) for one in value[:LISTED])
        return f"{shown} … ({len(value)} in all)" if len(value) > LISTED else shown
    return json.dumps(value, ensure_ascii=False)
