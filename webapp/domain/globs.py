"""Globs: ``*`` is any run of characters, ``?`` is any one. Matching never backtracks into a blow-up.

The pattern is cut at its stars; each piece is found leftmost, once. A piece has a fixed length, so the
regular expressions used for pieces with ``?`` hold no quantifier.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Glob:
    """A compiled glob over whole texts."""

    pattern: str
    _pieces: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)
    _start: str | None = field(init=False, repr=False, compare=False)  # of order.*, the usual kind

    def __post_init__(self) -> None:
        pieces = tuple(_piece(text) for text in self.pattern.split("*"))
        object.__setattr__(self, "_pieces", pieces)
        start = self.pattern[:-1]
        is_start = self.pattern.endswith("*") and not {"*", "?"} & set(start)
        object.__setattr__(self, "_start", start if is_start else None)

    def matches(self, text: str) -> bool:
        """Whether the whole of ``text`` matches."""
        if self._start is not None:
            return text.startswith(self._start)
        first, *rest = self._pieces
        if not rest:
            return first.fullmatch(text) is not None
        start = first.match(text)
        if start is None:
            return False
        at = start.end()
        *middle, last = rest
        for piece in middle:
            found = piece.search(text, at)
            if found is None:
                return False
            at = found.end()
        end_at = len(text) - _length_after(self.pattern)
        return end_at >= at and last.fullmatch(text, end_at) is not None


def _piece(text: str) -> re.Pattern[str]:
    return re.compile("".join("." if char == "?" else re.escape(char) for char in text), re.DOTALL)


def _length_after(pattern: str) -> int:
    return len(pattern) - pattern.rindex("*") - 1
