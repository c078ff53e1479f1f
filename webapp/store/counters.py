"""Per-minute counts and histograms, raised in the transaction of what they count."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from webapp.store.tables import counters

Key = tuple[int, str, str, int]  # minute since 1970, subject, measure, bucket


def minute_of(at: datetime) -> int:
    """Minutes since 1970."""
    return int(at.timestamp() // 60)


def raise_counts(conn: Connection, counts: Counter[Key]) -> None:
    """Add to the counters. Keys are written in order, so that two writers cannot deadlock."""
    if not counts:
        return
    insert = (sqlite if conn.dialect.name == "sqlite" else postgresql).insert(counters)
    upsert = insert.on_conflict_do_update(
        index_elements=["minute", "subject", "measure", "bucket"],
        set_={"n": counters.c.n + insert.excluded.n},
    )
    conn.execute(
        upsert,
        [
            {"minute": minute, "subject": subject, "measure": measure, "bucket": bucket, "n": n}
            for (minute, subject, measure, bucket), n in sorted(counts.items())
        ],
    )
