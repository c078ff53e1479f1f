"""Writes down what the flights came to, in bulk: while one transaction is on its way, the next batch gathers.

A lone outcome is written at once. When the database is away, outcomes wait here; should their leases run
out meanwhile, the fence in SQL drops them, because somebody else has the delivery by then.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from jobs.context import Context
from jobs.flights import Landing
from webapp.domain.errors import Unavailable
from webapp.domain.lifecycle import State
from webapp.runtime import Runtime
from webapp.services import record
from webapp.services.notify import notify
from webapp.store.deliveries import Finished

log = logging.getLogger(__name__)

MAX_BATCH = 1000
REPORT_S = 0.25  # progress and log lines are written this often at most
WAITS_S = (0.1, 0.2, 0.5, 1.0, 2.0)


class Recorder:
    """One thread between the flights and the database. ``done`` is told the ids that need no more care."""

    def __init__(self, rt: Runtime, owner: str, done: Callable[[Sequence[str]], None], turn: threading.Lock) -> None:
        self.finished = 0
        self.thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._rt, self._owner, self._done, self._turn = rt, owner, done, turn
        self._landings: SimpleQueue[Landing | None] = SimpleQueue()
        self._touched: dict[str, Context] = {}
        self._touched_lock = threading.Lock()
        self._reported = 0.0

    def start(self) -> None:
        """Start the thread."""
        self.thread.start()

    def land(self, landing: Landing) -> None:
        """Take over the end of an attempt. From any thread."""
        self._landings.put(landing)

    def touched(self, ctx: Context) -> None:
        """A running attempt has something to say. From any thread."""
        with self._touched_lock:
            self._touched[ctx.carrier_id] = ctx

    def stop(self, timeout: float) -> None:
        """Write down what is there, then end."""
        self._landings.put(None)
        self.thread.join(timeout)

    def _run(self) -> None:
        while True:
            batch, is_last = self._gather()
            self._report([landing.ctx for landing in batch])
            if batch:
                self._record([row for landing in batch for row in landing.rows])
            if is_last:
                return

    def _gather(self) -> tuple[list[Landing], bool]:
        batch: list[Landing] = []
        try:
            landing = self._landings.get(timeout=REPORT_S)
            while landing is not None:
                batch.append(landing)
                if len(batch) >= MAX_BATCH:
                    return batch, False
                landing = self._landings.get_nowait()
        except Empty:
            return batch, False
        return batch, True

    # Outcomes

    def _record(self, rows: Sequence[Finished]) -> None:
        """Until it is written: an outcome is not given up because the database is away for a moment."""
        for wait in (*WAITS_S, *[WAITS_S[-1]] * 10):
            try:
                with self._turn:
                    recorded = record.record(self._rt, rows, self._owner)
            except Unavailable:
                log.warning("outcomes wait for the database", extra={"action": "record_delayed"})
                time.sleep(wait)
                continue
            except Exception as error:  # noqa: BLE001  told of below, with the row that it is about
                self._record_apart(rows, error)
                return
            self._settle(rows, recorded)
            return
        self._done([row.claimed.id for row in rows])  # their leases are long gone

    def _record_apart(self, rows: Sequence[Finished], error: Exception) -> None:
        """A batch was refused as a whole: find the row that spoils it. Its lease will run out."""
        if len(rows) == 1:
            extra = {"delivery_id": rows[0].claimed.id, "action": "record_refused"}
            log.error("an outcome could not be recorded", extra=extra, exc_info=error)
            self._done([rows[0].claimed.id])
            return
        middle = len(rows) // 2
        self._record(rows[:middle])
        self._record(rows[middle:])

    def _settle(self, rows: Sequence[Finished], recorded: set[str]) -> None:
        self.finished += len(recorded)
        self._done([row.claimed.id for row in rows])
        if len(recorded) < len(rows):
            late = [row.claimed.id for row in rows if row.claimed.id not in recorded]
            log.warning(
                "%d outcomes came too late and were dropped",
                len(late),
                extra={"delivery_ids": late[:20], "action": "outcome_fenced"},
            )
        dead = {
            row.claimed.subscription_id: row
            for row in rows
            if row.settlement.state is State.DEAD and row.claimed.id in recorded
        }
        for row in dead.values():
            self._tell_dead(row)

    def _tell_dead(self, row: Finished) -> None:
        claimed = row.claimed
        try:
            notify(
                self._rt,
                "error",
                f"{claimed.event.type} failed for good in {claimed.handler}",
                f"{row.settlement.reason}: {row.error_message or row.error_type or 'no reason given'}"[:500],
                kind="delivery_dead",
                link=f"/events/{claimed.event_uid}",
                event_uid=claimed.event_uid,
                subscription_id=claimed.subscription_id,
                delivery_id=claimed.id,
                dedupe_key=f"dead:{claimed.subscription_id}",
            )
        except Exception:
            log.exception("people could not be notified", extra={"delivery_id": claimed.id})

    # Progress and log lines

    def _report(self, ending: Sequence[Context]) -> None:
        now = time.monotonic()
        touched: dict[str, Context] = {}
        if now - self._reported >= REPORT_S:
            self._reported = now
            with self._touched_lock:
                touched, self._touched = self._touched, {}
        said = [(ctx, *ctx.close()) for ctx in ending]
        ended = {ctx.carrier_id for ctx in ending}
        said += [(ctx, *ctx.take()) for id, ctx in touched.items() if id not in ended]
        said = [one for one in said if one[1] or one[2]]
        if said:
            self._write(said)

    def _write(self, said: Sequence[tuple[Context, Any, Any]]) -> None:
        progress = [
            {"id": ctx.carrier_id, "attempt": ctx.attempt, "done": at[0], "total": at[1], "message": at[2]}
            for ctx, _, at in said
            if at
        ]
        lines = [
            {"delivery_id": ctx.carrier_id, "attempt": ctx.attempt, "at": at, "level": level, "text": text}
            for ctx, spoken, _ in said
            for at, level, text in spoken
        ]
        try:
            record.report(self._rt, self._owner, progress, lines, list({ctx.event_uid for ctx, _, _ in said}))
        except Exception:
            # Words may be lost; outcomes may not, and they are written next.
            log.exception("progress and log lines were lost", extra={"action": "report_failed"})
