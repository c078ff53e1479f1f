"""Hiding secrets in what an attempt leaves behind: words, errors, results; in the forms in which they travel."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

from webapp.domain.sensitive import MASK

SHORTEST = 4  # what is shorter would hide half of every text
CUT = " …"  # how a text ends that was cut
MAX_DEPTH = 50


class Mask:
    """Knows the secrets of one attempt."""

    def __init__(self, values: frozenset[str]) -> None:
        forms = {form for value in values if len(value) >= SHORTEST for form in _forms(value)}
        self._forms = sorted((form for form in forms if len(form) >= SHORTEST), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, self._forms))) if self._forms else None

    def text(self, text: str) -> str:
        """The text without them. One that was cut in the middle of a secret loses the beginning of it too."""
        if self._pattern is None:
            return text
        hidden = self._pattern.sub(MASK, text)
        return self._without_beginning(hidden) if hidden.endswith(CUT) else hidden

    def value(self, value: Any, depth: int = 0) -> Any:
        """The same for whatever a handler returned; what cannot be looked into is replaced by a note."""
        if self._pattern is None:
            return value
        if depth > MAX_DEPTH:
            return "(nested too deep to be looked at)"
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bytes):
            return self.text(value.decode("utf-8", "replace"))
        if isinstance(value, Mapping):
            return {self.value(key, depth + 1): self.value(one, depth + 1) for key, one in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(one, depth + 1) for one in value]
        return value

    def _without_beginning(self, text: str) -> str:
        kept = text.removesuffix(CUT)
        for form in self._forms:
            for length in range(min(len(form) - 1, len(kept)), SHORTEST - 1, -1):
                if kept.endswith(form[:length]):
                    return kept[:-length] + MASK + CUT
        return text


NOTHING = Mask(frozenset())


@lru_cache(maxsize=256)
def mask_of(values: frozenset[str]) -> Mask:
    """The mask for these; the same ones come again and again."""
    return Mask(values) if values else NOTHING


def _forms(value: str) -> set[str]:
    """As it is, each line of it, and as JSON, URLs and Base64 write it."""
    lines = [line.strip() for line in value.splitlines() if len(line.strip()) >= 2 * SHORTEST]
    forms = {value, *lines, quote(value, safe=""), quote(value), quote_plus(value), *_base64(value.encode())}
    for written in (json.dumps(value), json.dumps(value, ensure_ascii=False), repr(value)):
        forms.add(written[1:-1])
    return forms


def _base64(data: bytes) -> set[str]:
    """What of its Base64 is the same wherever it stands inside something longer, such as ``user:password``."""
    found = set()
    for before in range(3):
        text = base64.b64encode(b"\0" * before + data).decode().rstrip("=")
        inner = text[(0, 2, 3)[before] : len(text) - ((before + len(data)) % 3 != 0)]
        if len(inner) >= 2 * SHORTEST:
            found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return found
