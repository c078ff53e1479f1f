"""What a worker does without its fence: for the negative control, and for nothing else.

A worker that lost its lease is not told so, and may record what it likes. A chaos run that did not notice
this would prove nothing.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, update

from jobs.handlers import Context, Event
from tests.chaos import ledger
from tests.chaos.handlers import Work
from webapp.store import deliveries, outcomes
from webapp.store.tables import deliveries as table

_attempt = outcomes._attempt
# A process that was held for long ends itself when it comes back; here it has to live on and have its say.
vars(sys.modules["__main__"])["HELD_MARGIN_S"] = 60.0
UNUSED = 100  # the rescue has recorded attempt n by then, which would be a guard of its own


class Unfenced(Work):
    name = "chaos.unfenced"

    async def process(self, event: Event, ctx: Context) -> Any:
        await asyncio.sleep(1.0)
        ledger.append(str(self.options["ledger"]), ctx.delivery_id, ctx.attempt, "ok")


def settle_rows(conn: Connection, rows: Sequence[Any], owner: str) -> list[Any]:
    """Without asking whose delivery it is."""
    for row in rows:
        changed = update(table).where(table.c.id == row.claimed.id)
        conn.execute(changed.values(state=str(row.settlement.state), lease_owner=None, lease_until=None))
    return list(rows)


def renew(conn: Connection, *, owner: str, ids: Sequence[str], until: Any) -> dict[str, bool]:
    """Without a look: everything is still ours, and nothing is to be cancelled."""
    return dict.fromkeys(ids, False)


def numbered_anew(row: Any, *more: Any) -> dict[str, Any]:
    """An attempt whose number is free."""
    written = _attempt(row, *more)
    return written | {"n": written["n"] + UNUSED} if row.claimed.attempt == 1 else written


def take_out() -> None:
    """Take the fence out of this process."""
    deliveries.settle_rows, deliveries.renew, outcomes._attempt = settle_rows, renew, numbered_anew  # type: ignore[assignment]
