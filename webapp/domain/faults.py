"""Collecting what is wrong with an input, so that one answer names every fault.

Pointers are JSON Pointers (RFC 6901). A message never carries more than 80 characters of what was
sent, and no character that cannot be printed or stored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from webapp.domain.errors import Fault, Refused

SHOWN_CHARS = 80
POINTER_CHARS = 256
MAX_FAULTS = 20
SUGGESTED = 5

_ENCODER = json.JSONEncoder(ensure_ascii=False)

# C0 and C1 controls, line and paragraph separators, lone surrogates: these forge log lines or cannot be stored.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def pointer(*parts: str | int) -> str:
    """The JSON Pointer to ``parts``; parts that could not be sent back are cut and cleaned."""
    return "".join("/" + _clean(str(part))[:POINTER_CHARS].replace("~", "~0").replace("/", "~1") for part in parts)


def unknown_fields(noun: str, document: Iterable[str], known: Collection[str], at: str = "") -> list[Fault]:
    """A fault for each field that ``noun`` ("An event") does not have; the first few name the one that was meant."""
    strange = [name for name in document if name not in known]
    return [
        Fault(at + pointer(name), "unknown-field", f"{noun} has no field {shown(name)!r}{_meant(n, name, known)}.")
        for n, name in enumerate(strange)
    ]


def _meant(n: int, name: str, known: Collection[str]) -> str:
    """Only for a few short ones: to compare takes long, and senders may be hostile."""
    close = get_close_matches(name, known, n=1, cutoff=0.7) if n < SUGGESTED and len(name) <= SHOWN_CHARS else []
    return f"; you may mean {close[0]!r}" if close else ""


def shown(value: Any) -> str:
    """``value`` as it may appear in a message: 80 characters at most, printable."""
    text = value if isinstance(value, str) else _dumped(value)
    cut = text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 1] + "…"
    if cut.isprintable():  # nearly always, and many times quicker than to look at each character
        return cut
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in cut)


def refusal(
    slug: str, noun: str, faults: Sequence[Fault], *, status: int = 422, own_slugs: Collection[str] = ()
) -> Refused:
    """One ``Refused`` for all ``faults``; when they are of one kind that has its own problem type, that one."""
    codes = {fault.code for fault in faults}
    if len(codes) == 1 and (code := next(iter(codes))) in own_slugs:
        slug = code
    count = len(faults)
    detail = faults[0].message if count == 1 else f"{count} things are wrong with the {noun}."
    return Refused(slug, detail, status=status, faults=faults[:MAX_FAULTS])


def _clean(text: str) -> str:
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _dumped(value: Any) -> str:
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError):
        return f"a {type(value).__name__}"
