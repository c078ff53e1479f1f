"""Per-minute counts and histograms, raised in the transaction of what they count."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from webapp.store.bulk import insert_rows
from webapp.store.tables import counters

ADD = "ON CONFLICT (minute, subject, measure, bucket) DO UPDATE SET n = counters.n + excluded.n"

Key = tuple[int, str, str, int]  # minute since 1970, subject, measure, bucket


def minute_of(at: datetime) -> int:
    """Minutes since 1970."""
    return int(at.timestamp() // 60)


def raise_counts(conn: Connection, counts: Counter[Key]) -> None:
    """Add to the counters. Keys are written in order, so that two writers cannot deadlock."""
    insert_rows(conn, counters, count_rows(counts), ADD)


def count_rows(counts: Counter[Key]) -> list[dict[str, Any]]:
    """The rows of ``counters`` to insert with ``ADD``, in the order in which everybody writes them."""
    return [
        {"minute": minute, "subject": subject, "measure": measure, "bucket": bucket, "n": n}
        for (minute, subject, measure, bucket), n in sorted(counts.items())
    ]
