"""Forms that two people edit at the same time: what a form was opened with goes with it, and when somebody was faster
the answer shows both, field by field, keeps all that was typed, and takes a choice for each.

The choice is made on top of what is there now, with its revision: should a third person be faster still, it is asked again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

from flask import request
from sqlalchemy import Connection

from webapp.domain.merging import MINE, THEIRS, Difference, differences
from webapp.store.audit import Target
from webapp.store.feed_audit import AuditRow, entries_since, newest_entry

OPENED = "opened"  # a hidden field: what the form held when it was opened
KEEP = "keep"  # the button that keeps all of one's own
CHOICE = "take-"  # and the name of a field
OPENED_CHARS = 300_000
GONE = "It was deleted meanwhile. Nothing of yours is lost: saving now makes a new one."


class Editing(Protocol):
    """What somebody typed into the form of something that is there already."""

    def texts(self) -> dict[str, str]:
        """By field."""

    def taking(self, texts: Mapping[str, str]) -> Self:
        """The same form with these texts, which ``texts`` of another one made."""


Form = TypeVar("Form", bound=Editing)


@dataclass(frozen=True, slots=True)
class Opened:
    """What a form was opened with, and the newest audit entry of the thing at that time."""

    texts: Mapping[str, str]
    entry: str = ""

    def to_text(self) -> str:
        """As the hidden field holds it."""
        return json.dumps({"texts": dict(self.texts), "entry": self.entry})


@dataclass(frozen=True, slots=True)
class Clash:
    """Somebody was faster: who did what, and where it differs from what was typed."""

    changes: Sequence[AuditRow]
    fields: tuple[Difference, ...]
    labels: Mapping[str, str]
    is_known: bool  # what the form was opened with, so that "theirs" is what they changed

    def label(self, name: str) -> str:
        """What people call a field."""
        return self.labels.get(name) or name.rsplit(".", 1)[-1].replace("_", " ").capitalize()


def opened_for(conn: Connection, stored: Editing | None, target: Target, *, is_refused: bool) -> str:
    """For the hidden field: what is stored now, or what was there when the form that is refused was opened."""
    if stored is None:
        return ""
    if is_refused:
        return request.form.get(OPENED, "")[:OPENED_CHARS]
    return Opened(stored.texts(), newest_entry(conn, target)).to_text()


def read_opened(fields: Mapping[str, str]) -> Opened | None:
    """What came back in the hidden field. None when it is not there, or is not what the hub wrote."""
    try:
        found = json.loads(fields.get(OPENED, "")[:OPENED_CHARS])
        texts, entry = found["texts"], found["entry"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(texts, dict) or not all(isinstance(one, str) for one in (entry, *texts, *texts.values())):
        return None
    return Opened(texts, entry[:64])


def resolved(form: Form, fields: Mapping[str, str]) -> Form:
    """The form with theirs where it was chosen: as they were shown to whoever chose."""
    opened = read_opened(fields)
    if opened is None or fields.get(KEEP) == MINE:
        return form
    theirs = {name: text for name, text in opened.texts.items() if fields.get(CHOICE + name) == THEIRS}
    return form.taking(theirs) if theirs else form


def clash_of(
    conn: Connection,
    form: Editing,
    theirs: Editing,
    fields: Mapping[str, str],
    *,
    target: Target,
    labels: Mapping[str, str],
) -> Clash:
    """What the page says about it. ``theirs`` is the form of what is stored now."""
    opened = read_opened(fields)
    found = differences(None if opened is None else opened.texts, theirs.texts(), form.texts())
    changes = entries_since(conn, target, opened.entry if opened is not None else None)
    return Clash(changes, found, labels, opened is not None)


def revision_of(text: str) -> int:
    """The revision that a form was opened with; one that is none fits nothing."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1
