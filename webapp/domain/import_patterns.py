"""Conditions from elsewhere: an EventBridge pattern or the filters of a CloudEvents subscription, as our tree.

What comes out says exactly what went in, or it is refused with the pointer to what cannot be said here. Where the two
differ only for rare events (a list where a value is expected), a note tells.
"""

from __future__ import annotations

import re
from typing import Any

from webapp.domain.faults import pointer, shown
from webapp.domain.import_eventbridge import read_pattern
from webapp.domain.imported import MAX_DEPTH, Import, Imported, Tree, joined

_EXTENSION = re.compile(r"[a-z0-9]{1,20}")
_ATTRIBUTES = ("type", "source", "subject", "id")
_UNSEEN = {"specversion", "time", "datacontenttype", "dataschema", "data"}


def import_condition(document: Any) -> Imported:
    """An object is read as an EventBridge pattern, a list as CloudEvents filters. Raises ``Refused``."""
    found = Import()
    if isinstance(document, list) and document:
        return found.finished([tree for n, one in enumerate(document) if (tree := _filter(found, one, f"/{n}", 1))])
    if isinstance(document, dict) and document:
        return found.finished(read_pattern(found, document))
    found.fault("", "wrong-type", "Paste an EventBridge pattern (an object) or CloudEvents filters (a list).")
    return found.finished([])


def _filter(found: Import, document: Any, at: str, depth: int) -> Tree | None:
    """One filter: an object with one dialect."""
    if not isinstance(document, dict) or len(document) != 1 or depth > MAX_DEPTH:
        found.fault(at, "wrong-type", "A filter is an object with one of exact, prefix, suffix, all, any, not.")
        return None
    ((dialect, given),) = document.items()
    at += pointer(dialect)
    if dialect in ("exact", "prefix", "suffix"):
        return _compared(found, "eq" if dialect == "exact" else dialect, given, at)
    if dialect in ("all", "any"):
        return _grouped(found, dialect, given, at, depth)
    if dialect == "not":
        part = _filter(found, given, at, depth + 1)
        return part and {"not": part}
    found.fault(at, "unknown-dialect", f"The dialect {shown(dialect)!r} is not understood here.")
    return None


def _grouped(found: Import, kind: str, given: Any, at: str, depth: int) -> Tree | None:
    if not isinstance(given, list) or not given:
        found.fault(at, "wrong-type", "Must be a list of one or more filters.")
        return None
    parts = [tree for n, one in enumerate(given) if (tree := _filter(found, one, f"{at}/{n}", depth + 1))]
    return joined(kind, parts) if parts else None


def _compared(found: Import, op: str, given: Any, at: str) -> Tree | None:
    if not isinstance(given, dict) or not given:
        found.fault(at, "wrong-type", "Must be an object of attributes and texts.")
        return None
    parts = []
    for attribute, value in given.items():
        here = at + pointer(attribute)
        if not isinstance(value, str) or not value:
            found.fault(here, "wrong-type", "Must be a text that is not empty.")
        elif attribute in _UNSEEN or not _EXTENSION.fullmatch(attribute):
            found.fault(here, "unknown-field", f"Conditions cannot compare the attribute {shown(attribute)!r} as text.")
        else:
            name = attribute if attribute in _ATTRIBUTES else f"label.{attribute}"
            parts.append(found.leaf(here, name, op, value))
    return joined("all", parts) if parts else None
