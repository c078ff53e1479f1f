"""What a handler remembers between events: ``ctx.state``. Kept in memory during the attempt, written with its outcome.

A value is read from the database when it is first asked for. What is changed reaches the database in the transaction
that records the attempt, behind the same fence, and not at all when the attempt fails: exactly once in effect.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from webapp.domain.state import (
    ABSENT,
    MAX_KEYS,
    Change,
    Stored,
    checked_key,
    checked_number,
    checked_value,
)

ReadState = Callable[[str, str], Awaitable[Stored | None]]  # subscription and key to what is stored


@dataclass(slots=True)
class _Entry:
    """One key as this attempt sees it."""

    seen: int | None = None  # the version that was read
    base: Any = None
    kind: Literal["set", "increment", "delete"] | None = None
    value: Any = None

    def current(self) -> Any:
        if self.kind in ("set", "delete"):
            return self.value
        return checked_number(self.base or 0) + self.value if self.kind == "increment" else self.base


class HandlerState:
    """The state of one subscription, for one attempt. ``set`` after ``get`` holds only if nobody wrote in between."""

    def __init__(self, subscription_id: str, read: ReadState) -> None:
        self._subscription_id, self._read = subscription_id, read
        self._entries: dict[str, _Entry] = {}

    async def get(self, key: str, default: Any = None) -> Any:
        """The value, with the changes of this attempt; ``default`` when there is none."""
        entry = self._entry(key)
        if entry.seen is None and entry.kind in (None, "increment"):
            stored = await self._read(self._subscription_id, key)
            if entry.seen is None:  # somebody else of this attempt may have asked too
                entry.seen, entry.base = (ABSENT, None) if stored is None else (stored.v, stored.value)
        value = entry.current()
        return default if value is None else json.loads(json.dumps(value))

    async def set(self, key: str, value: Any) -> None:
        """Remember a JSON value of at most 64 KiB; None forgets it."""
        if value is None:
            await self.delete(key)
            return
        plain, entry = checked_value(value), self._entry(key)
        entry.kind, entry.value = "set", plain

    async def increment(self, key: str, by: float = 1) -> None:
        """Add to a number (0 when there is none). Increments of attempts that run beside each other add up."""
        checked_number(by)
        entry = self._entry(key)
        if entry.kind in ("set", "delete"):
            entry.kind, entry.value = "set", checked_number(checked_number(entry.value or 0) + by)
        else:
            entry.kind, entry.value = "increment", checked_number((entry.value or 0) + by)

    async def delete(self, key: str) -> None:
        """Forget it."""
        entry = self._entry(key)
        entry.kind, entry.value = "delete", None

    def changes(self) -> tuple[Change, ...]:
        """What is to be written."""
        return tuple(
            Change(key, one.kind, one.value, None if one.kind == "increment" else one.seen)
            for key, one in self._entries.items()
            if one.kind is not None
        )

    def _entry(self, key: str) -> _Entry:
        entry = self._entries.get(checked_key(key))
        if entry is None:
            if len(self._entries) >= MAX_KEYS:
                raise ValueError(f"an attempt may touch {MAX_KEYS} keys of the state at most")
            entry = self._entries[key] = _Entry()
        return entry
