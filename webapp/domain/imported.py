"""What an import gathers: the condition, notes, and faults with the pointer into what was pasted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from webapp.domain.condition_text import owner_of
from webapp.domain.conditions import parse_condition
from webapp.domain.errors import Fault, Refused
from webapp.domain.faults import MAX_FAULTS, refusal

MAX_DEPTH = 16
Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Imported:
    """The condition and what is worth knowing about it."""

    tree: Tree
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Import:
    """What is gathered while a document is read; ``origins`` tells (by ``id``) where a leaf came from."""

    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    origins: dict[int, str] = field(default_factory=dict)

    def fault(self, at: str, code: str, message: str) -> None:
        """One more thing that cannot be said here."""
        self.faults.append(Fault(at, code, message))

    def leaf(self, at: str, field: str, op: str, value: Any = None, **more: Any) -> Tree:
        """A comparison that came from ``at``."""
        made = {"field": field, "op": op} | ({} if op in ("exists", "missing") else {"value": value}) | more
        self.origins[id(made)] = at
        return made

    def finished(self, parts: list[Tree]) -> Imported:
        """All of the parts, checked by the rules for conditions. Raises ``Refused`` with every fault."""
        tree = joined("all", parts) if parts else {}
        if not self.faults:
            self.faults += self._broken(tree)
        if self.faults:
            raise refusal("invalid-condition", "pattern", self.faults[:MAX_FAULTS])
        return Imported(tree, tuple(dict.fromkeys(self.notes)))

    def _broken(self, tree: Tree) -> list[Fault]:
        """What the rules for conditions have against it, by where it came from."""
        try:
            parse_condition(tree)
        except Refused as refused:
            found = [(owner_of(tree, fault.pointer, self.origins), fault) for fault in refused.faults]
            return [Fault(at or "", fault.code, fault.message) for at, fault in found]
        return []


def joined(kind: str, parts: list[Tree]) -> Tree:
    """One part alone, or a group of them."""
    return parts[0] if len(parts) == 1 else {kind: parts}
