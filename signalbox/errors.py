"""What can go wrong between a program and the hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class SignalboxError(Exception):
    """Base of all of them."""


class UnavailableError(SignalboxError):
    """The hub was not reached, or could not answer, however often it was tried. Sent again later, the same event is stored once."""


class RefusedError(SignalboxError):
    """The hub answered no (RFC 9457): trying the same again will not help.

    ``slug`` names the kind of problem (``invalid-event``), ``errors`` has a mapping per fault with ``pointer``, ``code``
    and ``message``; ``members`` is the whole problem document.
    """

    def __init__(self, status: int, members: Mapping[str, Any]) -> None:
        self.status = status
        self.members = dict(members)
        self.slug = str(members.get("type", "")).rpartition("/")[2] or "unknown"
        self.detail = str(members.get("detail") or members.get("title") or f"HTTP {status}")
        found = members.get("errors")
        self.errors: Sequence[Mapping[str, Any]] = found if isinstance(found, list) else []
        faults = "; ".join(f"{one.get('pointer') or 'document'}: {one.get('message')}" for one in self.errors[:10])
        super().__init__(f"{status} {self.slug}: {faults or self.detail}")
