"""Names that people give to things: one line, not too long."""

from __future__ import annotations

from typing import Any

from webapp.domain.errors import Fault
from webapp.domain.faults import CONTROL

NAME_CHARS = 120


def read_name(value: Any, faults: list[Fault]) -> str:
    """The name without space around it. What is wrong with it is added to ``faults``, at ``/name``."""
    name = value.strip() if isinstance(value, str) else ""
    if not 1 <= len(name) <= NAME_CHARS:
        faults.append(Fault("/name", "invalid-length", f"Give it a name of 1 to {NAME_CHARS} characters."))
    elif CONTROL.search(name):
        faults.append(Fault("/name", "invalid-character", "A name has no control characters or line breaks."))
    return name
