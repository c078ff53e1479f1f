"""The text form of conditions, read: ``type:order.* data.amount>100 "time out" after:-24h`` to the tree.

Side by side means all; ``OR``, ``NOT``, parentheses and ``all( )``, ``any( )``, ``none( )`` group. ``condition_print``
writes what is read here. A fault says at which character, and how it is meant to be written.
"""

from __future__ import annotations

import re
from typing import Any

from webapp.domain.condition_print import NUMBER, WILD, WORDS, free_text, holds_text
from webapp.domain.conditions import Condition, parse_condition
from webapp.domain.errors import Fault, Refused
from webapp.domain.faults import shown
from webapp.domain.fields import ATTRIBUTES
from webapp.domain.jsontext import parse_json
from webapp.domain.operators import OPERATORS, PRESENCE, TIME_OPERATORS

MAX_CHARS = 32 * 1024
MAX_NESTING = 32
SYMBOLS = {":": "eq", "=": "eq", "!=": "ne", ">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "~": "glob"}
Tree = dict[str, Any]

_SPACE = re.compile(r"\s*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_JSON = re.compile(r"`([^`]*)`")
_BARE = re.compile(r"""[^\s()",`]+""")
_NAME = r"""[^\s.\[\]()",`=<>~!:]+"""
_DATA = re.compile(rf"""data(?:\.{_NAME}|\[(?:[0-9]{{1,6}}|\*|)\]|\["(?:[^"\\]|\\.)*"\])*(?![^\s()",`=<>~!:])""")
_DATA_STEP = re.compile(r"""\["(?:[^"\\]|\\.)*"\]""")
_OTHER_FIELD = re.compile(rf"(?:{'|'.join(ATTRIBUTES)}|label\.[a-z0-9_.-]+)(?![^\s()\",`=<>~!:])")
_SYMBOL = re.compile(r"\s*(!=|>=|<=|:|=|>|<|~)")
_OPERATOR = re.compile(r"\s+(not\s+in|[a-z_]+)(?![^\s(),\"`])", re.IGNORECASE)
_FLAG = re.compile(r"\s+(ci|each:all|each:any)(?![^\s(),])", re.IGNORECASE)
_GROUP = re.compile(r"(all|any|none)\(", re.IGNORECASE)
_NOT = re.compile(r"not(?=[\s(),\"]|$)|-(?=\S)", re.IGNORECASE)
_OR = re.compile(r"or(?=[\s(),\"]|$)", re.IGNORECASE)
_AND = re.compile(r"and(?=[\s(),\"]|$)", re.IGNORECASE)
_BETWEEN_AND = re.compile(r"\s+and(?=[\s\"`])", re.IGNORECASE)
_TIME = re.compile(r"(before|after):", re.IGNORECASE)
_LIKE_A_FIELD = re.compile(r"([^=<>~!:]+)(?:!=|[:=<>~])")


class _Trouble(Exception):
    """What cannot be read, and where."""

    def __init__(self, at: int, message: str, code: str = "syntax") -> None:
        super().__init__(message)
        self.at, self.message, self.code = at, message, code


def parse_condition_text(text: str) -> Condition:
    """The condition that ``text`` writes. Raises ``Refused`` (422, ``invalid-condition``) that says where and why."""
    reader = _Reader(text)
    try:
        tree = reader.read()
    except _Trouble as trouble:
        raise _refused([_fault(text, trouble.at, trouble.code, trouble.message)]) from None
    try:
        return parse_condition(tree)
    except Refused as refused:
        places = [(owner_of(tree, fault.pointer, reader.places), fault) for fault in refused.faults]
        raise _refused([_fault(text, at or 0, fault.code, fault.message) for at, fault in places]) from None


def parse_values(text: str, *, is_text: bool) -> list[Any]:
    """The values of a list without its parentheses. Raises ``ValueError`` with words for people."""
    reader = _Reader(f"{text})")
    try:
        values = reader.values(is_text=is_text)
        if reader.at <= len(text):
            raise _Trouble(reader.at, "Put a value that has ) in it into double quotes.")
    except _Trouble as trouble:
        raise ValueError(trouble.message) from None
    return values


def owner_of(tree: Any, pointer: str, owners: dict[int, Any]) -> Any:
    """Of the nodes on the way of ``pointer`` the innermost that ``owners`` (by ``id``) knows, or ``None``."""
    found, node = owners.get(id(tree)), tree
    for part in pointer.split("/")[1:]:
        node = node[int(part)] if isinstance(node, list) else node.get(part)
        if not isinstance(node, list | dict):
            break
        found = owners.get(id(node), found)
    return found


def _fault(text: str, at: int, code: str, message: str) -> Fault:
    rest = text[at:].strip()
    where = f"before {shown(rest[:20])!r}" if rest else "the end"
    return Fault("", code, f"At character {at + 1}, {where}: {message}")


def _refused(faults: list[Fault]) -> Refused:
    detail = faults[0].message if len(faults) == 1 else f"{len(faults)} things are wrong with the condition."
    return Refused("invalid-condition", detail, faults=faults)


class _Reader:
    """Reads one text from left to right; ``places`` remembers where each part of the tree began."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.nesting = text, 0, 0
        self.places: dict[int, int] = {}

    def read(self) -> Tree:
        if len(self.text) > MAX_CHARS:
            raise _Trouble(MAX_CHARS, f"A condition has at most {MAX_CHARS:,} characters.", "too-long")
        if not self.text.strip():
            raise _Trouble(0, "Write a comparison, for example type:order.* or data.amount>100.", "required")
        tree = self.either()
        if self.at < len(self.text):
            raise _Trouble(self.at, "No parenthesis is open here; put text into double quotes.")
        return tree

    # Groups.

    def either(self) -> Tree:
        parts = [self.side_by_side()]
        while self.word(_OR):
            parts.append(self.side_by_side())
        return self.group("any", parts)

    def side_by_side(self) -> Tree:
        parts = [self.element()]
        while not self.ends() and not self.sees(_OR):
            self.word(_AND)
            parts.append(self.element())
        return self.group("all", parts)

    def group(self, kind: str, parts: list[Tree]) -> Tree:
        return parts[0] if len(parts) == 1 else self.placed({kind: parts}, self.places[id(parts[0])])

    def element(self) -> Tree:
        self.skip()
        at = self.at
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise _Trouble(at, "This is nested too deeply.", "too-deep")
        tree = self.one()
        self.nesting -= 1
        return self.placed(tree, at)

    def one(self) -> Tree:
        if self.take(_NOT):
            return {"not": self.element()}
        if named := self.take(_GROUP):
            return self.named(named[1].lower())
        if self.starts("("):
            return self.parenthesis()
        return self.comparison()

    def named(self, kind: str) -> Tree:
        parts = [self.either()]
        while self.starts(","):
            self.at += 1
            parts.append(self.either())
        self.close()
        return {"not": self.placed({"any": parts}, self.at)} if kind == "none" else {kind: parts}

    def parenthesis(self) -> Tree:
        self.at += 1
        tree = self.either()
        self.close()
        return tree

    def close(self) -> None:
        if not self.starts(")"):
            raise _Trouble(self.at, "A parenthesis is open: ) is missing.")
        self.at += 1

    # Comparisons.

    def comparison(self) -> Tree:
        if quick := self.take(_TIME):
            return self.leaf("time", quick[1].lower(), self.moment())
        start = self.at
        field = self.field()
        op = self.operator(field) if field else ""
        if op:
            return self.compared(field, op)
        self.at = start
        if "." in field or "[" in field:
            raise _Trouble(start, f"Say what is to be with {field}: {field}:value, {field}>100, {field} exists.")
        return self.words()

    def compared(self, field: str, op: str) -> Tree:
        if op in PRESENCE:
            return self.leaf(field, op)
        if op in TIME_OPERATORS:
            return self.leaf(field, op, self.moment())
        is_text = holds_text(field, op)
        if op in ("in", "not_in"):
            self.open(field, op)
            return self.leaf(field, op, self.values(is_text=is_text))
        if op == "between":
            low = self.value(is_text=is_text)
            if not self.take(_BETWEEN_AND):
                raise _Trouble(self.at, f"Write both ends: {field} between 1 and 10.")
            return self.leaf(field, op, [low, self.value(is_text=is_text)])
        return self.leaf(field, op, self.value(is_text=is_text))

    def leaf(self, field: str, op: str, value: Any = True) -> Tree:
        leaf = {"field": field, "op": op} | ({} if op in PRESENCE else {"value": value})
        while flag := self.take(_FLAG):
            name, _, wish = flag[1].lower().partition(":")
            leaf |= {"each": wish} if name == "each" else {"ci": True}
        return leaf

    def field(self) -> str:
        """The field that stands here in its JSON spelling, or "" when none does."""
        if other := self.take(_OTHER_FIELD):
            return other[0]
        found = self.take(_DATA)
        return _DATA_STEP.sub(lambda step: f".{self.text_of(step[0][1:-1])}", found[0]) if found else ""

    def operator(self, field: str) -> str:
        if symbol := self.take(_SYMBOL):
            self.skip()
            return self.of_symbol(symbol[1])
        named = _OPERATOR.match(self.text, self.at)
        op = "_".join(named[1].lower().split()) if named else ""
        if not named or op not in OPERATORS:
            return ""
        self.at = named.end()
        return op

    def of_symbol(self, symbol: str) -> str:
        """``:`` takes a list as well, and a bare word with * or ? as a pattern."""
        op = SYMBOLS[symbol]
        if op in ("eq", "ne") and self.starts("("):
            return "in" if op == "eq" else "not_in"
        bare = _BARE.match(self.text, self.at)
        return "glob" if symbol == ":" and bare and WILD.search(bare[0]) else op

    def words(self) -> Tree:
        """Words without a field."""
        if self.starts('"'):
            return free_text(self.quoted())
        bare = self.take(_BARE)
        if bare is None:
            raise _Trouble(self.at, "A comparison is expected here, for example data.amount>100.")
        if unknown := _LIKE_A_FIELD.match(bare[0]):
            raise _Trouble(bare.start(), _no_field(unknown[1]), "invalid-field")
        return free_text(bare[0])

    # Values.

    def value(self, *, is_text: bool) -> Any:
        self.skip()
        if self.starts('"'):
            return self.quoted()
        if raw := self.take(_JSON):
            return self.text_of(raw[1])
        bare = self.take(_BARE)
        if bare is None:
            raise _Trouble(self.at, 'A value is missing; the empty text is written "".')
        return bare[0] if is_text else self.scalar(bare[0])

    def values(self, *, is_text: bool) -> list[Any]:
        found = [self.value(is_text=is_text)]
        while self.starts(","):
            self.at += 1
            found.append(self.value(is_text=is_text))
        self.close()
        return found

    def open(self, field: str, op: str) -> None:
        if not self.starts("("):
            raise _Trouble(self.at, f"Write the list in parentheses: {field} {op.replace('_', ' ')} (a, b).")
        self.at += 1

    def moment(self) -> Any:
        value = self.value(is_text=True)
        return f"now{value}" if isinstance(value, str) and value[:1] in ("+", "-") else value

    def scalar(self, word: str) -> Any:
        if word in WORDS:
            return WORDS[word]
        return self.text_of(word) if NUMBER.fullmatch(word) else word

    def quoted(self) -> Any:
        found = self.take(_STRING)
        if found is None:
            raise _Trouble(self.at, "The closing double quote is missing.")
        return self.text_of(found[0])

    def text_of(self, written: str) -> Any:
        """A JSON value as it is written in the text."""
        try:
            return parse_json(written.encode("utf-8", "surrogatepass"))
        except Refused as refused:
            hint = ' Inside quotes, " is written \\" and \\ is written \\\\.' if written.startswith('"') else ""
            raise _Trouble(self.at, f"{refused.detail}{hint}", refused.slug) from None

    # Moving on.

    def placed(self, tree: Tree, at: int) -> Tree:
        self.places.setdefault(id(tree), at)
        return tree

    def skip(self) -> None:
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return found

    def word(self, pattern: re.Pattern[str]) -> bool:
        self.skip()
        return self.take(pattern) is not None

    def sees(self, pattern: re.Pattern[str]) -> bool:
        self.skip()
        return pattern.match(self.text, self.at) is not None

    def starts(self, char: str) -> bool:
        self.skip()
        return self.text.startswith(char, self.at)

    def ends(self) -> bool:
        self.skip()
        return self.at >= len(self.text) or self.text[self.at] in "),"


def _no_field(name: str) -> str:
    known = f"{', '.join(ATTRIBUTES)}, label.<name> and data.<path>"
    return (
        f"There is no field {shown(name)!r}. Did you mean data.{shown(name)}? Fields are {known}; quote what is text."
    )
