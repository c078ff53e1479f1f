"""What a handler remembers from event to event: values by key, and the changes that one attempt wants to make. Pure.

A change says what it was based on: ``seen`` is the version that was read, ``ABSENT`` when there was none, None when it
was not read. An increment is never based on anything: increments of several attempts add up.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import orjson

from webapp.domain.lifecycle import Settlement, State, Verb, advance

MAX_VALUE_BYTES = 64 * 1024
KEY_CHARS = 200
MAX_KEYS = 100  # that one attempt touches
MAX_NUMBER = 2**53
ABSENT = 0


class StateChanged(Exception):
    """Somebody else changed what this change is based on."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A value and its version."""

    value: Any
    v: int


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one key."""

    key: str
    kind: Literal["set", "increment", "delete"]
    value: Any = None
    seen: int | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """The changes of an attempt, and where it goes when they cannot be made."""

    changes: Sequence[Change]
    if_changed: Settlement
    if_refused: Settlement


def settle_changed(now: datetime, roll: float) -> Settlement:
    """Soon again. No try is used up: the handler did nothing wrong, and of all who collide one gets through."""
    wait = timedelta(seconds=0.05 + 0.95 * roll)
    return Settlement(advance(State.RUNNING, Verb.RETRY), None, now + wait, False, "failed")


def checked_key(key: Any) -> str:
    """The key; raises ``ValueError``."""
    if not isinstance(key, str) or not 1 <= len(key) <= KEY_CHARS or not key.isprintable():
        raise ValueError(f"a key of the state is text of 1 to {KEY_CHARS} printable characters")
    return key


def checked_value(value: Any) -> Any:
    """The value as it is stored: plain JSON, a copy. Raises ``ValueError``."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        plain = json.loads(text)
        size = len(orjson.dumps(plain))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"a value of the state must be JSON: {error}") from None
    if size > MAX_VALUE_BYTES:
        raise ValueError(f"a value of the state has at most {MAX_VALUE_BYTES:,} bytes, not {size:,}")
    return plain


def checked_number(value: Any) -> int | float:
    """A number that can be added; raises ``ValueError``."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or abs(value) > MAX_NUMBER:
        raise ValueError("only finite numbers up to 2^53 can be incremented, and by such")
    return value  # type: ignore[no-any-return]


def apply(change: Change, stored: Stored | None, fresh: int) -> Stored | None:
    """What is stored after the change; None: nothing. ``fresh`` is the version of a key that is made new.

    Raises ``StateChanged``, or ``ValueError`` when something that is no number was to be incremented.
    """
    if change.kind == "increment":
        total = checked_number(checked_number(stored.value if stored else 0) + checked_number(change.value))
        return Stored(total, stored.v + 1 if stored else fresh)
    if change.seen is not None and change.seen != (stored.v if stored else ABSENT):
        raise StateChanged(change.key)
    if change.kind == "delete":
        return None
    return Stored(change.value, stored.v + 1 if stored else fresh)
