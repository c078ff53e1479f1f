"""Per-minute counts and histograms, raised in the transaction of what they count."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from functools import cache
from typing import Any

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
    conn.execute(
        _upsert(conn.dialect.name),
        [
            {"minute": minute, "subject": subject, "measure": measure, "bucket": bucket, "n": n}
            for (minute, subject, measure, bucket), n in sorted(counts.items())
        ],
    )


@cache
def _upsert(dialect: str) -> Any:
    insert = (sqlite if dialect == "sqlite" else postgresql).insert(counters)
    return insert.on_conflict_do_update(
        index_elements=["minute", "subject", "measure", "bucket"],
        set_={"n": counters.c.n + insert.excluded.n},
    )
