"""Passwords: Argon2id in, a verdict out. A plain password is never kept, logged or returned."""

from __future__ import annotations

import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from webapp.domain.errors import Fault, Refused

LEAST, MOST = 8, 128
COMMON = frozenset(
    (
        "password", "password1", "password123", "passw0rd", "12345678", "123456789", "1234567890", "11111111",
        "qwertyuiop", "qwerty123", "abcd1234", "iloveyou", "letmein1", "welcome1", "changeme", "sunshine",
        "princess", "football", "administrator", "signalbox",
    )
)  # fmt: skip

# OWASP's smallest recommended Argon2id: 19 MiB, two passes. One at a time bounds the memory under a flood.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_one_at_a_time = threading.Lock()


def check_password(password: str, username: str = "") -> list[Fault]:
    """What is wrong with a new password: its length, or that everybody would guess it. No composition rules."""
    if not LEAST <= len(password) <= MOST:
        return [Fault("/password", "length", f"Use {LEAST} to {MOST} characters.")]
    if password.lower() in COMMON or password.lower() == username:
        return [Fault("/password", "common", "This password is too easy to guess.")]
    return []


def hash_password(password: str) -> str:
    """The encoded Argon2id hash."""
    try:
        with _one_at_a_time:
            return _hasher.hash(password)
    except UnicodeEncodeError:
        raise Refused("invalid-character", "The password holds a character that cannot be stored.") from None


def verify_password(encoded: str | None, password: str) -> bool:
    """Whether it fits. Without a hash (nobody has that name) the same work is done and the answer is no."""
    try:
        with _one_at_a_time:
            _hasher.verify(_dummy() if encoded is None else encoded, password[: MOST + 1])
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False
    return encoded is not None


def is_outdated(encoded: str) -> bool:
    """Whether the hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(encoded)


@cache
def _dummy() -> str:
    return _hasher.hash("nobody has this password")
