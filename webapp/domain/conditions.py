"""The one condition language: a JSON tree of ``all``, ``any``, ``not`` and leaves ``{field, op, value}``.

A missing field or a value of another kind is false, also for ``ne``, ``not_in`` and ``lt``; only ``missing`` is
true of a missing field. A list matches if any element does (``"each": "all"``: every one); an empty list never.
Every evaluation yields a trace, so that the hub can say why a subscription did or did not run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from webapp.domain.errors import Fault
from webapp.domain.events import Event, EventDraft
from webapp.domain.faults import MAX_FAULTS, SHOWN_CHARS, pointer, refusal, shown
from webapp.domain.fields import Absent, Field, Found, parse_field
from webapp.domain.instants import iso
from webapp.domain.jsontext import to_text
from webapp.domain.operators import OPERATORS, PRESENCE, TIME_OPERATORS, Judge, kind_of

MAX_LEAVES = 64
MAX_DEPTH = 8
MAX_BYTES = 16 * 1024
LEAF_KEYS = frozenset({"field", "op", "value", "ci", "each"})
_REGEX_NAMES = frozenset({"regex", "regexp", "matches", "re"})
_ABSENT_VALUE = object()
_NESTED = (list, dict)


class Clause(NamedTuple):
    """What one leaf said of one event. ``note`` tells in words why a value could not be compared."""

    pointer: str  # JSON Pointer into the condition
    field: str
    op: str
    value: Any
    verdict: bool
    actual: Any  # None when the field is missing; long values are cut
    note: str = ""
    is_hidden: bool = False  # what the event held is not for who asks

    @property
    def text(self) -> str:
        """For people: ``data.amount > 500 was 129.5``."""
        sign = OPERATORS[self.op].sign
        if self.is_hidden:
            return f"{self.field} {sign} {shown(self.value)}: {'yes' if self.verdict else 'no'}"
        if self.op in PRESENCE:
            return f"{self.field} {sign}: {'yes' if self.verdict else 'no'}"
        claim = f"{self.field} {sign} {shown(self.value)}"
        return f"{claim}: {self.note}" if self.note else f"{claim} was {shown(self.actual)}"

    def hidden(self) -> Clause:
        """The same without what the event held."""
        return self._replace(actual=None, note="", is_hidden=True)

    def to_json(self) -> dict[str, Any]:
        """The JSON form, with ``text``."""
        keys = ("pointer", "field", "op", "value", "verdict", "actual", "note", "text")
        return {key: getattr(self, key) for key in keys}


class Trace(NamedTuple):
    """The verdict on an event and what every leaf said, in the order of the condition."""

    verdict: bool
    clauses: list[Clause]

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {"verdict": self.verdict, "clauses": [clause.to_json() for clause in self.clauses]}


@dataclass(frozen=True, slots=True)
class Leaf:
    """One comparison."""

    pointer: str
    field: Field
    op: str
    value: Any
    ci: bool
    each: str  # "any" or "all"
    judge: Judge = dataclasses.field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Group:
    """``all`` or ``any`` of the parts."""

    kind: str
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of the part."""

    part: Node


Node = Leaf | Group | Not


@dataclass(frozen=True, slots=True)
class Condition:
    """A checked condition; ``root`` is its tree, ``document`` the JSON that it was read from."""

    root: Node
    document: dict[str, Any]

    def evaluate(self, view: Mapping[str, Any]) -> Trace:
        """The verdict on an ``event_view`` with its trace. Never raises; every leaf is asked."""
        clauses: list[Clause] = []
        return Trace(_evaluate(self.root, view, clauses), clauses)

    def to_json(self) -> dict[str, Any]:
        """The JSON form, equal to what was parsed."""
        return self.document


def event_view(event: EventDraft | Event, now: datetime | None = None) -> dict[str, Any]:
    """What conditions see of an event. ``now`` is what ``now-1h`` refers to; without it such a clause is false."""
    return {
        "type": event.type,
        "source": event.source,
        "subject": event.subject,
        "id": event.id,
        "time": event.timestamp,
        "version": event.version,
        "label": event.labels,
        "data": event.payload,
        "now": now,
    }


def _evaluate(node: Node, view: Mapping[str, Any], clauses: list[Clause]) -> bool:
    if isinstance(node, Leaf):
        clause = _ask(node, view)
        clauses.append(clause)
        return clause.verdict
    if isinstance(node, Not):
        return not _evaluate(node.part, view, clauses)
    verdicts = [_evaluate(part, view, clauses) for part in node.parts]
    return False not in verdicts if node.kind == "all" else True in verdicts


def _ask(leaf: Leaf, view: Mapping[str, Any]) -> Clause:
    found, actual, note = leaf.field.read(view), None, ""
    if isinstance(found, Absent):
        verdict, note = leaf.op == "missing", found.note
    else:
        actual = found.value
        if leaf.op in PRESENCE:
            verdict = leaf.op == "exists"
        else:
            verdict, note = _judge_all(leaf, found, view.get("now"))
    return Clause(leaf.pointer, leaf.field.text, leaf.op, leaf.value, verdict, _cut(actual), note)


def _judge_all(leaf: Leaf, found: Found, now: datetime | None) -> tuple[bool, str]:
    spread = found.many or (isinstance(found.value, list) and leaf.op != "is_type")
    if not spread and (verdict := leaf.judge(found.value, now)) is not None:  # nearly always
        return verdict, ""
    values = found.value if spread else [found.value]
    if not values:
        return False, f"{leaf.field.text} is an empty list"
    verdicts = [leaf.judge(value, now) for value in values]
    verdict = all(verdicts) if leaf.each == "all" else any(verdicts)
    if verdict or None not in verdicts:
        return verdict, ""
    return False, _mismatch(leaf, values[verdicts.index(None)], now, spread=spread)


def _mismatch(leaf: Leaf, value: Any, now: datetime | None, *, spread: bool) -> str:
    subject = f"an element of {leaf.field.text}" if spread else leaf.field.text
    kind, wanted = kind_of(value), OPERATORS[leaf.op].wants or _kinds(leaf.value)
    if wanted == "a date and time" and kind == "text":
        return f"{subject} is text, but not a date and time"
    if wanted == kind:
        return f"there is no present time to compare {subject} with"
    return f"{subject} is {kind}, not {wanted}"


def _kinds(value: Any) -> str:
    return " or ".join(dict.fromkeys(kind_of(item) for item in (value if isinstance(value, list) else [value])))


def _cut(actual: Any) -> Any:
    if isinstance(actual, str):
        return actual if len(actual) <= SHOWN_CHARS and actual.isprintable() else shown(actual)
    if isinstance(actual, _NESTED):
        return shown(actual)
    return iso(actual) if isinstance(actual, datetime) else actual


def parse_condition(document: Any, at: str = "") -> Condition:
    """The condition that ``document`` (parsed JSON) describes; ``at`` is the pointer to it in a larger document.

    Raises ``Refused`` (422, ``invalid-condition``) with every fault.
    """
    reader = _Reader()
    root = reader.node(document, at, 1)
    if not reader.faults and len(to_text(document).encode("utf-8", "surrogatepass")) > MAX_BYTES:
        reader.fault(at, "too-long", f"A condition has at most {MAX_BYTES // 1024} KiB.")
    if reader.faults or root is None:
        raise refusal("invalid-condition", "condition", reader.faults, own_slugs={"unsupported-pattern"})
    return Condition(root, document)


class _Reader:
    """Reads one document, gathering its faults."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.leaves = 0

    def fault(self, at: str, code: str, message: str) -> None:
        self.faults.append(Fault(at, code, message))

    def node(self, document: Any, at: str, depth: int) -> Node | None:
        if depth > MAX_DEPTH:
            self.fault(at, "too-deep", f"Conditions are nested at most {MAX_DEPTH} deep.")
            return None
        if not isinstance(document, dict):
            self.fault(at, "wrong-type", "Must be an object: all, any, not, or field, op and value.")
            return None
        kinds = [key for key in ("all", "any", "not") if key in document]
        if not kinds:
            return self.leaf(document, at)
        if len(document) > 1:
            self.fault(at, "contradiction", f"{kinds[0]!r} stands alone in its object.")
            return None
        key = kinds[0]
        if key == "not":
            part = self.node(document[key], f"{at}/not", depth + 1)
            return None if part is None else Not(part)
        return self.group(key, document[key], f"{at}/{key}", depth)

    def group(self, kind: str, documents: Any, at: str, depth: int) -> Node | None:
        if not isinstance(documents, list) or not documents:
            self.fault(at, "wrong-type", "Must be a list of one or more conditions.")
            return None
        parts: list[Node] = []
        for n, document in enumerate(documents):
            if self.leaves > MAX_LEAVES or len(self.faults) > MAX_FAULTS:
                break
            part = self.node(document, f"{at}/{n}", depth + 1)
            if part is not None:
                parts.append(part)
        return Group(kind, tuple(parts))

    def leaf(self, document: dict[str, Any], at: str) -> Leaf | None:
        self.leaves += 1
        if self.leaves > MAX_LEAVES:
            self.fault(at, "too-many", f"A condition has at most {MAX_LEAVES} comparisons.")
            return None
        before = len(self.faults)
        for key in document.keys() - LEAF_KEYS:
            self.fault(at + pointer(key), "unknown-field", f"A condition has no key {shown(key)!r}.")
        field = self.field(document, at)
        op = self.op(document, at)
        ci, each = document.get("ci", False), document.get("each", "any")
        if not isinstance(ci, bool):
            self.fault(f"{at}/ci", "wrong-type", "Must be true or false.")
        if each not in ("any", "all"):
            self.fault(f"{at}/each", "invalid-value", "Must be any or all.")
        if field is None or op is None:
            return None
        self.together(field, op, ci, at)
        value = self.value(document, op, at)
        if len(self.faults) > before:
            return None
        return Leaf(at, field, op, value, ci, each, OPERATORS[op].make(value, ci))

    def field(self, document: dict[str, Any], at: str) -> Field | None:
        try:
            return parse_field(document.get("field"))
        except ValueError as error:
            code = "invalid-field" if "field" in document else "required"
            self.fault(f"{at}/field", code, str(error))
            return None

    def op(self, document: dict[str, Any], at: str) -> str | None:
        op = document.get("op")
        if isinstance(op, str) and op in OPERATORS:
            return op
        if isinstance(op, str) and op.lower() in _REGEX_NAMES:
            message = "Regular expressions are not offered; use glob, prefix, suffix or contains."
            self.fault(f"{at}/op", "unsupported-pattern", message)
            return None
        code = "invalid-op" if "op" in document else "required"
        self.fault(f"{at}/op", code, f"Must be one of {' '.join(OPERATORS)}.")
        return None

    def together(self, field: Field, op: str, ci: Any, at: str) -> None:
        if field.root == "time" and op not in TIME_OPERATORS:
            self.fault(f"{at}/op", "unsuitable-op", "time goes with before, after, exists and missing.")
        if ci is True and not OPERATORS[op].folds:
            self.fault(f"{at}/ci", "unsuitable-op", f"{op} does not know upper and lower case.")

    def value(self, document: dict[str, Any], op: str, at: str) -> Any:
        value = document.get("value", True if op in PRESENCE else _ABSENT_VALUE)
        if value is _ABSENT_VALUE:
            self.fault(f"{at}/value", "required", "Give a value to compare with.")
            return None
        problem = OPERATORS[op].check(value)
        if problem is not None:
            self.fault(f"{at}/value", "invalid-value", problem)
        return value
