"""JMESPath with limits: an expression is read once, and asked with a budget of steps that it cannot leave.

The language has no loops, but a dozen characters can double a value again and again (``[@,@]|[@,@]``). So every
step and everything that a step makes is charged to the budget, before anything looks at the whole of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from jmespath.visitor import TreeInterpreter

EXPRESSION_CHARS = 1_000
MAX_NESTED = 60
TEXT_PER_STEP = 64  # characters that cost as much as one value
FUNCTIONS = Functions()  # those of the specification; none are added
_MAKES = frozenset({"multi_select_list", "multi_select_dict", "flatten", "function_expression", "slice"})


class TooCostly(ValueError):
    """The budget is used up."""


@dataclass(slots=True)
class Budget:
    """How many steps are left; shared by all parts of one transform."""

    left: int

    def spend(self, steps: int) -> None:
        """Take some. Raises ``TooCostly`` when there are not that many."""
        self.left -= steps
        if self.left < 0:
            raise TooCostly("this makes too much of the event; make it smaller or simpler")

    def charge(self, value: Any) -> None:
        """Take what ``value`` is worth: its members, at any depth, and the length of its texts."""
        todo = [value]
        while todo:
            item = todo.pop()
            self.spend(1)
            if isinstance(item, str):
                self.spend(len(item) // TEXT_PER_STEP)
            elif isinstance(item, Mapping):
                todo.extend(item.values())
            elif isinstance(item, list):
                todo.extend(item)


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression."""

    text: str
    tree: Mapping[str, Any]

    def ask(self, value: Any, budget: Budget) -> Any:
        """What it finds in ``value``; None when nothing. Raises ``ValueError`` with words for people."""
        try:
            return _Interpreter(budget).visit(self.tree, value)
        except TooCostly:
            raise
        except (JMESPathError, ArithmeticError, TypeError, ValueError, LookupError, AttributeError) as error:
            raise ValueError(_in_words(error)) from error
        except RecursionError:
            raise ValueError("this goes too deep") from None


@lru_cache(maxsize=512)
def parse_expression(text: str) -> Expression:
    """The expression that ``text`` writes. Raises ``ValueError`` with words for people."""
    if not text.strip() or len(text) > EXPRESSION_CHARS:
        raise ValueError(f"Write a JMESPath expression of at most {EXPRESSION_CHARS} characters, such as items[0].sku.")
    try:
        tree = jmespath.compile(text).parsed
    except RecursionError:
        raise ValueError("This expression goes too deep.") from None
    except (JMESPathError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise ValueError(f"This is no JMESPath: {_in_words(error)}") from error
    _check(tree)
    return Expression(text, tree)


def _check(tree: Mapping[str, Any]) -> None:
    todo = [(tree, 1)]
    while todo:
        node, depth = todo.pop()
        if depth > MAX_NESTED:
            raise ValueError(f"This expression goes deeper than {MAX_NESTED} steps.")
        if node["type"] == "function_expression" and node["value"] not in FUNCTIONS.FUNCTION_TABLE:
            raise ValueError(f"There is no function {str(node['value'])[:40]!r} in JMESPath.")
        todo += [(child, depth + 1) for child in node.get("children", ()) if isinstance(child, Mapping)]


class _Interpreter(TreeInterpreter):
    """The interpreter of the library; it pays for every step."""

    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self._budget = budget

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self._budget.spend(1)
        found = super().visit(node, *args, **kwargs)
        if node["type"] in _MAKES:
            self._budget.charge(found)
        return found

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        given = [self.visit(child, value) for child in node["children"]]
        for one in given:  # sorting or comparing looks at each
            self._budget.spend(_length(one))
        return FUNCTIONS.call_function(node["value"], given)


def _length(value: Any) -> int:
    if isinstance(value, list | Mapping):
        return len(value)
    return len(value) // TEXT_PER_STEP if isinstance(value, str) else 1


def _in_words(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
