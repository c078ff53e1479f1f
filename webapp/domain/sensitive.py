"""Options that are secrets typed in as they are: shown to nobody as ``•••``, kept when ``•••`` is sent back.

An option is sensitive when its schema says ``"x-sensitive": true`` or its name says so (``secret``, ``password``,
``Authorization`` …). What only names a secret of the hub (``Bearer {secret.SHOP}``) gives nothing away and is shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from webapp.domain.errors import Fault
from webapp.domain.faults import pointer
from webapp.domain.secretrefs import REFERENCE

MASK = "•••"
SENSITIVE = "x-sensitive"
_NAMED = re.compile(
    r"secret|token|passw|authori[sz]ation|api[-_]?key|private[-_]?key|credential|signature|cookie", re.IGNORECASE
)
_ONLY_NAMES = re.compile(rf"(?:(?:Bearer|Basic|Token) )?(?:{REFERENCE.pattern})+", re.IGNORECASE)
_NO_SCHEMA: Mapping[str, Any] = {}


def masked(options: Any, schema: Mapping[str, Any] | None = None) -> Any:
    """The options as they may be shown."""
    return _changed(options, schema or _NO_SCHEMA, False, lambda text: MASK)


def sensitive_texts(options: Any, schema: Mapping[str, Any] | None = None) -> list[str]:
    """What ``masked`` would hide."""
    found: list[str] = []

    def keep(text: str) -> str:
        found.append(text)
        return text

    _changed(options, schema or _NO_SCHEMA, False, keep)
    return found


def restored(options: Any, before: Any, at: str, faults: list[Fault]) -> Any:
    """The options with what was there before for each ``•••``; where nothing was, that is a fault."""
    if options == MASK:
        if isinstance(before, str) and before != MASK:
            return before
        faults.append(Fault(at, "masked-value", f"{MASK} stands for a value that is hidden; here is none: give it."))
    if isinstance(options, Mapping):
        old = before if isinstance(before, Mapping) else {}
        return {key: restored(one, old.get(key), at + pointer(key), faults) for key, one in options.items()}
    if isinstance(options, list):
        items = before if isinstance(before, list) else []
        padded = [*items, *[None] * (len(options) - len(items))]
        return [restored(one, padded[n], f"{at}/{n}", faults) for n, one in enumerate(options)]
    return options


def _changed(value: Any, schema: Mapping[str, Any], hidden: bool, hide: Callable[[str], str]) -> Any:
    hidden = hidden or schema.get(SENSITIVE) is True
    if isinstance(value, Mapping):
        return {
            key: _changed(one, part, hidden or by_name, hide) for key, one, part, by_name in _members(value, schema)
        }
    if isinstance(value, list):
        return [_changed(one, schema.get("items", _NO_SCHEMA), hidden, hide) for one in value]
    is_text = isinstance(value, str) and value and not _ONLY_NAMES.fullmatch(value)
    return hide(value) if hidden and is_text else value


def _members(value: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[tuple[str, Any, Mapping[str, Any], bool]]:
    properties = schema.get("properties", {})
    for key, one in value.items():
        part = properties.get(key, _NO_SCHEMA)
        yield key, one, part, part.get(SENSITIVE) is not False and _NAMED.search(key) is not None
