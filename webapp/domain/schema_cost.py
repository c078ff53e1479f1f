"""How much work a schema may make of one value: some small schemas double it at every level of a payload.

Counted is how often schemas are applied on the way from the whole payload down to its deepest value, in the worst
case: ``$ref``, ``allOf`` and their like apply several schemas to one value, a cycle of them would never end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webapp.domain.jsontext import MAX_DEPTH
from webapp.domain.schema_walk import IN_PLACE_LISTS, IN_PLACE_ONE, Parts, parts_of, walk_schemas

MAX_COST = 2_000
MAX_SPREAD = 20_000  # of all schemas together: what counting may cost

_ANY_FIELD = ("additionalProperties", "unevaluatedProperties", "propertyNames")
_ANY_ITEM = ("items", "contains", "unevaluatedItems")
_OTHERS, _ITEM = "", 0  # the step to a field that has no schema of its own; the step to an item

Step = tuple[str, str | int]
Steps = dict[Step, list[Parts]]


class EndlessError(Exception):
    """A schema applies itself to the same value, for ever."""


def cost_of(document: Mapping[str, Any]) -> int:
    """The number of applications, at most a little over ``MAX_COST``. Raises ``EndlessError``."""
    nodes: dict[Parts, Mapping[str, Any]] = {tuple(map(str, parts)): node for parts, node in walk_schemas(document)}
    spread: dict[Parts, list[Parts]] = {}
    left = MAX_SPREAD
    for parts in nodes:
        spread[parts] = _in_place(nodes, parts)
        left -= len(spread[parts])
        if left < 0 or len(spread[parts]) > MAX_COST:
            return MAX_COST + 1
    steps = {parts: _steps_of(nodes, all_here) for parts, all_here in spread.items()}
    below = dict.fromkeys(nodes, 0)
    for _ in range(MAX_DEPTH + 1):
        above = {parts: min(MAX_COST + 1, len(spread[parts]) + _worst(steps[parts], below)) for parts in nodes}
        if above == below:
            break
        below = above
    return below[()]


def _worst(steps: Steps, below: Mapping[Parts, int]) -> int:
    return max((sum(below[parts] for parts in targets) for targets in steps.values()), default=0)


def _in_place(nodes: Mapping[Parts, Mapping[str, Any]], start: Parts) -> list[Parts]:
    """Every schema that is applied to the value that ``start`` is applied to, as often as it is."""
    found: list[Parts] = []
    stack: list[tuple[Parts, frozenset[Parts]]] = [(start, frozenset())]
    while stack and len(found) <= MAX_COST:
        parts, above = stack.pop()
        if parts in above:
            raise EndlessError
        found.append(parts)
        stack.extend((one, above | {parts}) for one in _beside(nodes[parts], parts))
    return found


def _beside(node: Mapping[str, Any], parts: Parts) -> list[Parts]:
    found = [(*parts, key) for key in IN_PLACE_ONE if key in node]
    found += [(*parts, key, str(n)) for key in IN_PLACE_LISTS for n in range(len(node.get(key, ())))]
    found += [(*parts, "dependentSchemas", name) for name in node.get("dependentSchemas", ())]
    target = parts_of(node["$ref"]) if "$ref" in node else None
    return found if target is None else [*found, target]


def _steps_of(nodes: Mapping[Parts, Mapping[str, Any]], here: list[Parts]) -> Steps:
    """What each step down from a value leads to. A field may have schemas by name, by pattern, and as one of the others."""
    names = {name for parts in here for name in nodes[parts].get("properties", ())}
    steps: Steps = {("field", name): [] for name in (*names, _OTHERS)}
    steps["item", _ITEM] = []
    for parts in here:
        node = nodes[parts]
        general = [(*parts, key) for key in _ANY_FIELD if key in node]
        general += [(*parts, "patternProperties", pattern) for pattern in node.get("patternProperties", ())]
        own = node.get("properties", {})
        for name in (*names, _OTHERS):
            steps["field", name] += general + ([(*parts, "properties", name)] if name in own else [])
        steps["item", _ITEM] += [(*parts, key) for key in _ANY_ITEM if key in node]
        if node.get("prefixItems"):
            steps["item", _ITEM].append((*parts, "prefixItems", "0"))
    return steps
