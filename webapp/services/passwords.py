"""Passwords: Argon2id in, a verdict out. A plain password is never kept, logged or returned."""

from __future__ import annotations

import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from webapp.domain.errors import Fault, Refused

LEAST, MOST = 8, 128
COMMON = frozenset(
    "password password1 password123 12345678 123456789 1234567890 qwertyuiop qwerty123 11111111 iloveyou "
    "letmein1 administrator changeme signalbox welcome1 passw0rd abcd1234 sunshine princess football".split()
)

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
    known = encoded is not None
    try:
        with _one_at_a_time:
            return _hasher.verify(encoded if encoded is not None else _dummy(), password[: MOST + 1]) and known
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False


def is_outdated(encoded: str) -> bool:
    """Whether the hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(encoded)


@cache
def _dummy() -> str:
    return _hasher.hash("nobody has this password")
