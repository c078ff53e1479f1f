"""Sortable ids: a prefix that names the kind, the time in milliseconds, a serial number within it, random bits.

The layout is that of a monotonic ULID (10 + 16 characters of 5 bits each), written in the alphabet of RFC 4648
base32hex in lower case, so text order is time order on every database. The random bytes and the time are
passed in; ``webapp.runtime`` supplies them.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from functools import lru_cache

ALPHABET = "0123456789abcdefghijklmnopqrstuv"
TIME_CHARS, NOISE_CHARS = 10, 16
SERIAL_CHARS = 4  # of the 16: what one process makes within a millisecond keeps its order
LENGTH = TIME_CHARS + NOISE_CHARS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# A random byte gives one character: the table drops three of its bits, in C.
_FIVE_BITS = bytes(ord(ALPHABET[byte & 31]) for byte in range(256))


def make_id(prefix: str, unix_ms: int, noise: bytes, serial: int = 0) -> str:
    """``prefix`` + ``_`` + 26 characters. ``noise`` is 16 random bytes; the serial number stands in for the first."""
    tail = noise.translate(_FIVE_BITS)[SERIAL_CHARS:].decode()
    return f"{prefix}_{_time_text(unix_ms)}{_serial_text(serial)}{tail}"


class IdMaker:
    """Makes the ids of one process: each sorts after those made before it, also within one millisecond.

    Between processes nothing but the time decides; 60 random bits keep their ids apart.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unix_ms, self._serial = -1, 0

    def make(self, prefix: str, unix_ms: int, noise: bytes) -> str:
        """The next id. A clock that was put back is believed."""
        with self._lock:
            self._serial = self._serial + 1 if unix_ms == self._unix_ms else 0
            self._unix_ms = unix_ms
            serial = self._serial
        return make_id(prefix, unix_ms, noise, serial)


def first_id_at(prefix: str, unix_ms: int) -> str:
    """The smallest id of that millisecond: the bound for a keyset query by time."""
    return make_id(prefix, max(0, unix_ms), bytes(NOISE_CHARS))


def made_at(id: str) -> datetime | None:
    """When this id was made, to the millisecond; ``None`` for what is none of ours."""
    text = id.rpartition("_")[2]
    if len(text) != LENGTH or not text.isascii():
        return None
    try:
        return _EPOCH + timedelta(milliseconds=int(text[:TIME_CHARS], 32))
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=1024)
def _serial_text(serial: int) -> str:
    return "".join(ALPHABET[serial >> 5 * place & 31] for place in reversed(range(SERIAL_CHARS)))


@lru_cache(maxsize=16)
def _time_text(unix_ms: int) -> str:
    return "".join(ALPHABET[unix_ms >> 5 * place & 31] for place in reversed(range(TIME_CHARS)))
