"""Sortable ids: a prefix that names the kind, 48 bits of milliseconds, 80 random bits.

The layout is that of a ULID, written in RFC 4648 base32hex (lower case), so text order is time order
on every database. The random bytes and the time are passed in; ``webapp.runtime`` supplies them.
"""

from __future__ import annotations

from base64 import b32hexencode

LENGTH = 26


def make_id(prefix: str, unix_ms: int, noise: bytes) -> str:
    """``prefix`` + ``_`` + 26 characters. ``noise`` is 10 bytes."""
    return f"{prefix}_{b32hexencode(unix_ms.to_bytes(6, 'big') + noise)[:LENGTH].decode().lower()}"


def first_id_at(prefix: str, unix_ms: int) -> str:
    """The smallest id of that millisecond: the bound for a keyset query by time."""
    return make_id(prefix, max(0, unix_ms), bytes(10))
