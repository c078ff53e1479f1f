"""The operators of conditions: which values each may be given, and how it judges one value of an event.

A judgement is True, False, or None: the value is of a kind that the operator does not compare (counts as
false, and the trace says so). true and false are not numbers; text is compared in Unicode form NFC.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from math import isfinite
from operator import ge, gt, le, lt
from typing import Any
from unicodedata import normalize

from webapp.domain.globs import Glob
from webapp.domain.instants import parse_instant
from webapp.domain.retry import parse_duration

MAX_LIST = 1000
MAX_GLOB_CHARS = 256

Judge = Callable[[Any, datetime | None], bool | None]

_KINDS = {
    type(None): "null",
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    datetime: "a date and time",
    list: "a list",
}
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_RELATIVE = re.compile(r"now(?:([+-])([0-9a-z.]{1,24}))?")


@dataclass(frozen=True, slots=True)
class Operator:
    """``sign`` is how people read it, ``wants`` the kind it compares, ``make`` builds the judge of a checked value."""

    sign: str
    wants: str
    check: Callable[[Any], str | None]  # the fault of a value, in words
    make: Callable[[Any, bool], Judge]  # (value, case-insensitive)
    folds: bool = False  # may be given ``ci``


def kind_of(value: Any) -> str:
    """The kind of a value, in words for people."""
    found = _KINDS.get(type(value))
    return found or next((name for kind, name in _KINDS.items() if isinstance(value, kind)), "an object")


def parse_moment(text: str) -> Callable[[datetime | None], datetime | None]:
    """``now``, ``now-1h``, ``2026-11-23`` (midnight UTC) or RFC 3339, as a function of now. Raises ``ValueError``."""
    relative = _RELATIVE.fullmatch(text)
    if relative is None:
        fixed = _fixed_moment(text)
        return lambda now: fixed
    sign, amount = relative.groups()
    shift = parse_duration(amount) * (-1 if sign == "-" else 1) if amount else parse_duration(0)
    return lambda now: None if now is None else _shifted(now, shift)


def _shifted(now: datetime, shift: Any) -> datetime | None:
    try:
        return now + shift  # type: ignore[no-any-return]
    except OverflowError:
        return None


def _fixed_moment(text: str) -> datetime:
    if _DATE.fullmatch(text):
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    return parse_instant(text)


def fold(text: str, ci: bool) -> str:
    """The text as it is compared: in Unicode form NFC, and without upper and lower case if ``ci``."""
    if not text.isascii():
        text = normalize("NFC", text)
    if not ci:
        return text
    folded = text.casefold()
    return folded if folded.isascii() else normalize("NFC", folded)


def _prepared(value: Any, ci: bool) -> Any:
    return fold(value, ci) if isinstance(value, str) else value


def _check_scalar(value: Any) -> str | None:
    if isinstance(value, list | dict):
        return "Compare with one text, number, true, false or null."
    if isinstance(value, float) and not isfinite(value):
        return "Compare with a finite number."
    return None


def _check_list(value: Any) -> str | None:
    if not isinstance(value, list) or not value:
        return "Give a list of values."
    if len(value) > MAX_LIST:
        return f"At most {MAX_LIST:,} values."
    return next((fault for item in value if (fault := _check_scalar(item))), None)


def _check_text(value: Any) -> str | None:
    return None if isinstance(value, str) and value else "Give a text."


def _check_glob(value: Any) -> str | None:
    if isinstance(value, str) and 0 < len(value) <= MAX_GLOB_CHARS:
        return None
    return f"Give a text of 1 to {MAX_GLOB_CHARS} characters; * stands for any run of characters, ? for one."


def _check_ordered(value: Any) -> str | None:
    if kind_of(value) not in ("a number", "text"):
        return "Compare with a number or a text."
    return _check_scalar(value)


def _check_between(value: Any) -> str | None:
    if not isinstance(value, list) or len(value) != 2:
        return "Give a list of two: the smallest and the largest."
    fault = _check_ordered(value[0]) or _check_ordered(value[1])
    if fault:
        return fault
    if kind_of(value[0]) != kind_of(value[1]):
        return "Both ends must be numbers, or both texts."
    return None if value[0] <= value[1] else "The first must not be larger than the second."


def _check_type(value: Any) -> str | None:
    if isinstance(value, str) and value in TYPES:
        return None
    return f"Give one of {', '.join(TYPES)}."


def _check_moment(value: Any) -> str | None:
    try:
        if isinstance(value, str):
            parse_moment(value)
            return None
    except ValueError:
        pass
    return "Give an instant as 2026-11-23T13:00:00Z, 2026-11-23, now or now-1h."


def _check_network(value: Any) -> str | None:
    try:
        if isinstance(value, str):
            ip_network(value, strict=False)
            return None
    except ValueError:
        pass
    return "Give a network as 10.0.0.0/8 or 2001:db8::/32."


def _check_presence(value: Any) -> str | None:
    return None if value is True else "Leave the value out."


def _make_eq(value: Any, ci: bool) -> Judge:
    kind, target = kind_of(value), _prepared(value, ci)
    return lambda actual, now: _prepared(actual, ci) == target if kind_of(actual) == kind else None


def _make_in(value: Any, ci: bool) -> Judge:
    kinds = {kind_of(item) for item in value}
    targets = {(kind_of(item), _prepared(item, ci)) for item in value}

    def judge(actual: Any, now: datetime | None) -> bool | None:
        kind = kind_of(actual)
        return (kind, _prepared(actual, ci)) in targets if kind in kinds else None

    return judge


def _negated(make: Callable[[Any, bool], Judge]) -> Callable[[Any, bool], Judge]:
    def make_negated(value: Any, ci: bool) -> Judge:
        judge = make(value, ci)

        def negated(actual: Any, now: datetime | None) -> bool | None:
            verdict = judge(actual, now)
            return None if verdict is None else not verdict

        return negated

    return make_negated


def _text_maker(test: Callable[[str, str], bool]) -> Callable[[Any, bool], Judge]:
    def make(value: Any, ci: bool) -> Judge:
        target = fold(value, ci)
        return lambda actual, now: test(fold(actual, ci), target) if isinstance(actual, str) else None

    return make


def _make_glob(value: Any, ci: bool) -> Judge:
    glob = Glob(fold(value, ci))
    return lambda actual, now: glob.matches(fold(actual, ci)) if isinstance(actual, str) else None


def _order_maker(test: Callable[[Any, Any], bool]) -> Callable[[Any, bool], Judge]:
    def make(value: Any, ci: bool) -> Judge:
        kind, target = kind_of(value), _prepared(value, ci)
        return lambda actual, now: test(_prepared(actual, ci), target) if kind_of(actual) == kind else None

    return make


def _make_between(value: Any, ci: bool) -> Judge:
    kind, low, high = kind_of(value[0]), _prepared(value[0], ci), _prepared(value[1], ci)
    return lambda actual, now: low <= _prepared(actual, ci) <= high if kind_of(actual) == kind else None


def _moment_maker(test: Callable[[Any, Any], bool]) -> Callable[[Any, bool], Judge]:
    def make(value: Any, ci: bool) -> Judge:
        moment = parse_moment(value)

        def judge(actual: Any, now: datetime | None) -> bool | None:
            instant, bound = _instant_of(actual), moment(now)
            return None if instant is None or bound is None else test(instant, bound)

        return judge

    return make


def _instant_of(actual: Any) -> datetime | None:
    if isinstance(actual, datetime):
        return actual
    if not isinstance(actual, str):
        return None
    try:
        return _fixed_moment(actual)
    except ValueError:
        return None


def _make_network(value: Any, ci: bool) -> Judge:
    network = ip_network(value, strict=False)

    def judge(actual: Any, now: datetime | None) -> bool | None:
        try:
            return ip_address(actual) in network if isinstance(actual, str) else None
        except ValueError:
            return None

    return judge


# The names of JSON Schema's types.
TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda actual: isinstance(actual, str),
    "number": lambda actual: kind_of(actual) == "a number",
    "integer": lambda actual: kind_of(actual) == "a number" and float(actual).is_integer(),
    "boolean": lambda actual: isinstance(actual, bool),
    "null": lambda actual: actual is None,
    "object": lambda actual: isinstance(actual, Mapping),
    "array": lambda actual: isinstance(actual, list),
}


def _make_type(value: Any, ci: bool) -> Judge:
    test = TYPES[value]
    return lambda actual, now: test(actual)


def _make_presence(value: Any, ci: bool) -> Judge:
    return lambda actual, now: True  # decided by whether there is a value at all


OPERATORS: Mapping[str, Operator] = {
    "eq": Operator("=", "", _check_scalar, _make_eq, folds=True),
    "ne": Operator("≠", "", _check_scalar, _negated(_make_eq), folds=True),
    "in": Operator("in", "", _check_list, _make_in, folds=True),
    "not_in": Operator("not in", "", _check_list, _negated(_make_in), folds=True),
    "prefix": Operator("begins with", "text", _check_text, _text_maker(str.startswith), folds=True),
    "suffix": Operator("ends with", "text", _check_text, _text_maker(str.endswith), folds=True),
    "contains": Operator("contains", "text", _check_text, _text_maker(str.__contains__), folds=True),
    "glob": Operator("is like", "text", _check_glob, _make_glob, folds=True),
    "cidr": Operator("is in the network", "an IP address", _check_network, _make_network),
    "gt": Operator(">", "", _check_ordered, _order_maker(gt)),
    "gte": Operator("≥", "", _check_ordered, _order_maker(ge)),
    "lt": Operator("<", "", _check_ordered, _order_maker(lt)),
    "lte": Operator("≤", "", _check_ordered, _order_maker(le)),
    "between": Operator("between", "", _check_between, _make_between),
    "exists": Operator("exists", "", _check_presence, _make_presence),
    "missing": Operator("is missing", "", _check_presence, _make_presence),
    "is_type": Operator("is of type", "", _check_type, _make_type),
    "before": Operator("before", "a date and time", _check_moment, _moment_maker(lt)),
    "after": Operator("after", "a date and time", _check_moment, _moment_maker(gt)),
}
PRESENCE = frozenset({"exists", "missing"})
TIME_OPERATORS = frozenset({"before", "after"}) | PRESENCE
