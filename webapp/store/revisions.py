"""Rows that people edit carry a revision: whoever saves names the one that they have seen."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, update

from webapp.domain.errors import Conflict


def change(
    conn: Connection, table: Table, row_id: str, *, noun: str, revision: int | None, at: datetime, **values: Any
) -> None:
    """Compare-and-set on the revision (when one is given). Raises ``Conflict`` when somebody was faster."""
    where = [table.c.id == row_id, table.c.deleted_at.is_(None)]
    if revision is not None:
        where.append(table.c.revision == revision)
    changed = conn.execute(update(table).where(*where).values(revision=table.c.revision + 1, updated_at=at, **values))
    if changed.rowcount != 1:
        raise Conflict(f"This {noun} was changed meanwhile; look at it again before you save.")
