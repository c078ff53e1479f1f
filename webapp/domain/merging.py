"""Two people edited the same thing: what differs field by field, and what is taken unless somebody chooses otherwise.

Texts as forms show them are compared, so that what is shown as different is what somebody can see to be different.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MINE, THEIRS = "mine", "theirs"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that somebody else changed meanwhile. ``opened`` is what it was before; None: that is not known."""

    name: str
    opened: str | None
    theirs: str
    mine: str

    @property
    def taken(self) -> str:
        """Whose text is taken if nobody chooses: theirs where this person had changed nothing."""
        return THEIRS if self.opened == self.mine else MINE

    @property
    def is_disputed(self) -> bool:
        """Whether both changed it."""
        return self.taken == MINE


def differences(
    opened: Mapping[str, str] | None, theirs: Mapping[str, str], mine: Mapping[str, str]
) -> tuple[Difference, ...]:
    """The fields that they changed and that now differ from mine, in the order of ``theirs``.

    Without ``opened`` nobody can tell who changed what: then every field that differs.
    """
    found = []
    for name, text in theirs.items():
        before = None if opened is None else opened.get(name, "")
        own = mine.get(name, "")
        if plain(text) != plain(own) and (before is None or plain(before) != plain(text)):
            kept = None if before is None else plain(before)
            found.append(Difference(name, kept, plain(text), plain(own)))
    return tuple(found)


def plain(text: str) -> str:
    """Without what browsers change on the way: they send line breaks as CR LF."""
    return text.replace("\r\n", "\n").strip()
