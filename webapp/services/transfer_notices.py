"""Whoever asked for an export or import, and has turned to something else meanwhile, hears of its end; nobody else does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from webapp.domain.bulk import Standing
from webapp.live import Fact
from webapp.runtime import Runtime
from webapp.services.notify import Severity, notify_one
from webapp.store import transfers

WATCHED = timedelta(seconds=5)  # so long people look at the page, which tells it anyway
WHAT = {"events": "events", "deliveries": "deliveries", "audit": "the audit log"}
UNITS = {"events": "events", "deliveries": "deliveries", "audit": "entries"}


def tell_owner(rt: Runtime, conn: Connection, transfer_id: str) -> list[Fact]:
    """In the transaction that ends it; answers what to tell browsers after it. Keys have no inbox."""
    row = transfers.get(conn, transfer_id)
    is_quick = row.finished_at - row.created_at <= WATCHED
    if row.actor_kind != "user" or (row.state == Standing.DONE and is_quick):
        return []
    title, body = _words(row)
    link, key = f"/transfers/{row.id}", f"transfer:{row.id}"
    return notify_one(
        rt, conn, row.actor_id, _severity(row), title, body, kind="transfer_ended", link=link, dedupe_key=key
    )


def _severity(row: Any) -> Severity:
    return "success" if row.state == Standing.DONE and not (row.failed or row.state_reason) else "warning"


def _words(row: Any) -> tuple[str, str]:
    subject = f"Your {row.direction} of {WHAT[row.what]}"
    if row.state != Standing.DONE:
        return f"{subject} was aborted", _sentence(row.state_reason or "")
    if row.direction == "export":
        ready = f"{row.done:,} {UNITS[row.what]} in {row.file_name}, kept for a day."
        return f"{subject} is ready", row.state_reason or ready
    refused = f": {row.failed:,} {'line was' if row.failed == 1 else 'lines were'} refused" if row.failed else ""
    return f"{subject} ended{refused}", f"{row.file_name}: {row.done:,} new, {row.skipped:,} known already."


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:].rstrip('.')}." if words else ""
