"""A condition printed in its text form, for people: ``type:order.* data.amount>100 "time out" after:-24h``.

Whatever the tree says can be printed, and ``condition_text`` reads it back as the same tree; what is only a default
(``"ci": false``, ``"each": "any"``, the value of ``exists``) is left out.
"""

from __future__ import annotations

import json
import re
from typing import Any

from webapp.domain.jsontext import to_text
from webapp.domain.operators import OPERATORS, PRESENCE

SIGNS = {"eq": ":", "ne": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
FREE_FIELDS = ("type", "source", "subject", "id")  # where words without a field are looked for
TEXT_OPERATORS = {"prefix", "suffix", "contains", "glob", "is_type", "cidr", "before", "after"}
KEYWORDS = {"and", "or", "not", "all", "any", "none", "in", "ci"}
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
WORDS = {"true": True, "false": False, "null": None}
WILD = re.compile(r"[*?]")

_BARE = re.compile(r"""[^\s()",`=<>~!:][^\s()",`]*""")
_STEP = re.compile(r"\.([^.\[\]]+)|\[[^\]]*\]")
_PLAIN_NAME = re.compile(r"""[^\s.\[\]()",`=<>~!:]+""")


def print_condition(tree: dict[str, Any]) -> str:
    """The text form of a valid condition."""
    return _node(tree, inside=False)


def print_value(value: Any, *, is_text: bool = False) -> str:
    """One value as it is written; ``is_text``: where a bare word is a text, whatever it looks like."""
    if isinstance(value, str):
        return value if _can_stand_bare(value, is_text=is_text) else _quoted(value)
    return f"`{to_text(value)}`" if is_text else to_text(value)


def print_values(values: list[Any], *, is_text: bool = False) -> str:
    """A list without its parentheses."""
    return ", ".join(print_value(value, is_text=is_text) for value in values)


def holds_text(field: str, op: str) -> bool:
    """Whether a bare word beside this field or operator is a text even if it looks like a number."""
    return op in TEXT_OPERATORS or field in FREE_FIELDS or field.startswith("label.")


def free_text(words: str) -> dict[str, Any]:
    """What words without a field mean: one of the texts that an event is known by contains them."""
    return {"any": [{"field": field, "op": "contains", "value": words, "ci": True} for field in FREE_FIELDS]}


def _node(tree: dict[str, Any], *, inside: bool = True) -> str:
    for kind, joint in (("all", " "), ("any", " OR ")):
        if kind in tree:
            return _free(tree) or _group(kind, joint, tree[kind], inside=inside)
    if "not" in tree:
        return f"NOT {_node(tree['not'])}"
    return _leaf(tree)


def _free(tree: dict[str, Any]) -> str:
    words = tree.get("any", [{}])[0].get("value")
    return _quoted(words) if isinstance(words, str) and tree == free_text(words) else ""


def _group(kind: str, joint: str, parts: list[dict[str, Any]], *, inside: bool) -> str:
    if len(parts) == 1:
        return f"{kind}({_node(parts[0], inside=False)})"
    printed = joint.join(_node(part) for part in parts)
    return f"({printed})" if inside else printed


def _leaf(leaf: dict[str, Any]) -> str:
    flags = (" ci" if leaf.get("ci") else "") + (" each:all" if leaf.get("each") == "all" else "")
    return _claim(leaf["field"], leaf["op"], leaf.get("value")) + flags


def _claim(field: str, op: str, value: Any) -> str:
    name, is_text = _field(field), holds_text(field, op)
    if op in PRESENCE:
        return f"{name} {op}"
    if op in ("in", "not_in"):
        return f"{name} {op.replace('_', ' ')} ({print_values(value, is_text=is_text)})"
    if op == "between":
        low, high = (print_value(one, is_text=is_text) for one in value)
        return f"{name} between {low} and {high}"
    if OPERATORS[op].wants == "a date and time":
        moment = print_value(re.sub(r"^now(?=[+-])", "", value), is_text=True)
        return f"{op}:{moment}" if field == "time" else f"{name} {op} {moment}"
    written = print_value(value, is_text=is_text)
    if op == "glob":
        return f"{name}:{written}" if WILD.search(written) and written[0] != '"' else f"{name}~{written}"
    if op == "eq" and isinstance(value, str) and WILD.search(value):
        written = _quoted(value)
    return f"{name}{SIGNS[op]}{written}" if op in SIGNS else f"{name} {op} {written}"


def _field(text: str) -> str:
    """A name that could be taken for something else is written ``data["first name"]``."""
    if not text.startswith("data"):
        return text
    return "data" + _STEP.sub(lambda step: step[0] if _is_plain(step[1]) else f"[{_quoted(step[1])}]", text[4:])


def _is_plain(name: str | None) -> bool:
    return name is None or (name.isprintable() and _PLAIN_NAME.fullmatch(name) is not None)


def _can_stand_bare(text: str, *, is_text: bool) -> bool:
    if not text.isprintable() or not _BARE.fullmatch(text) or text.lower() in KEYWORDS:
        return False
    return is_text or not _looks_like_another_kind(text)


def _looks_like_another_kind(text: str) -> bool:
    """Also of ``007`` and ``nan``, which would be read as text: people would take them for numbers."""
    try:
        float(text)
    except ValueError:
        return text.lower() in WORDS
    return True


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=not text.isprintable())
