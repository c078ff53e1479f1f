"""One way to write a point in time (RFC 3339, UTC, milliseconds, ``Z``) and one way to read it."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


def iso(at: datetime) -> str:
    """``2026-11-23T14:02:08.412Z``. ``at`` must be aware."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_or_none(at: datetime | None) -> str | None:
    """``iso`` of a time that may be absent."""
    return None if at is None else iso(at)


def parse_instant(text: str) -> datetime:
    """An RFC 3339 instant with an offset, in UTC, microseconds kept. Raises ``ValueError`` with words for people."""
    if len(text) > 40 or not _RFC3339.fullmatch(text):
        raise ValueError("Write a date, a time and an offset as in 2026-11-23T13:00:00Z (RFC 3339).")
    try:
        instant = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("There is no such day or time.") from None
    if instant.year < 1970:
        raise ValueError("The year must lie between 1970 and 9999.")
    return instant
