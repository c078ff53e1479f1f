"""One way to write a point in time: RFC 3339, UTC, milliseconds, ``Z``."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(at: datetime) -> str:
    """``2026-11-23T14:02:08.412Z``. ``at`` must be aware."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_or_none(at: datetime | None) -> str | None:
    """``iso`` of a time that may be absent."""
    return None if at is None else iso(at)
