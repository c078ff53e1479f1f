"""Emptying a lane: answer the bell, claim in bulk while there is room, ring again when there is more.

The bell is answered before the first claim: an event that commits after the last claim then rings anew,
so none is overlooked. Handlers go on when this returns; nothing here waits for a slow one.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from jobs.engine import Engine
from webapp.domain.errors import Unavailable
from webapp.services import gatekeeper
from webapp.store import deliveries
from webapp.store.deliveries import Claimed

log = logging.getLogger(__name__)

ROOM_WAIT_S = 0.2
RING_AGAIN_S = 0.5  # other workers are called this often while the lane is full
GATE_AGAIN_S = 0.1  # while the drain goes on; what ends asks for itself
LINGER_S = 0.2  # the next of an ordered key will have passed its gate by then: quicker than to be called for it
LOOK_AGAIN_S = 0.02  # meanwhile others are not kept waiting
SLOW_GATE_S = 0.05
DATABASE_WAIT_S = 1.0


def drain(engine: Engine, lane: str) -> int:
    """Claim and start what is due in ``lane`` until it is empty or the slice is over; answers how many."""
    queue, settings = engine.rt.queue, engine.rt.settings
    queue.answer(lane)
    end = time.monotonic() + settings.slice_s
    taken, rung_at, gate_at, quiet_at = 0, 0.0, 0.0, 0.0
    while not engine.stopping:
        now = time.monotonic()
        if now > end:
            queue.ring(lane)
            break
        limit = min(engine.flights.wait_for_room(ROOM_WAIT_S), settings.claim_batch)
        if limit <= 0:
            continue
        if now >= gate_at:
            gate_at = now + GATE_AGAIN_S
            open_gates(engine, lane)
        placed = engine.flights.placed()  # before the claim: who ends after this has let the next one through by then
        batch = claim(engine, lane, limit)
        if batch:
            taken += len(batch)
            engine.take(batch)
            quiet_at = now + LINGER_S
        if len(batch) < limit:
            placed += [one.id for one in batch if one.order_key is not None or one.limit_key is not None]
            if now > quiet_at or not placed:
                break
            engine.flights.wait_for_end(placed, LOOK_AGAIN_S)
            continue
        if now - rung_at > RING_AGAIN_S:
            rung_at = now
            queue.ring(lane)  # there is more than I can take: others may join
    return taken


def open_gates(engine: Engine, lane: str) -> None:
    """Let through what may pass, so that the next claim sees it. The beat asks again, whatever happens here.

    Where very many subscriptions have something waiting, one look takes long: it gets a fifth of the time at most.
    """
    begun = time.monotonic()
    if begun < engine.gates_at:
        return
    try:
        gatekeeper.open_gates(engine.rt, claims_next=lane)
    except Unavailable:
        log.warning("no gate was opened: the database does not answer", extra={"action": "gate_failed"})
    took = time.monotonic() - begun
    engine.gates_at = begun + 5 * took if took > SLOW_GATE_S else begun


def claim(engine: Engine, lane: str, limit: int) -> list[Claimed]:
    """Take due deliveries under a fresh lease. Without a database there are none; the beat rings again."""
    rt = engine.rt
    try:
        with rt.db.write() as conn:
            return deliveries.claim(
                conn,
                lane=lane,
                owner=engine.owner,
                limit=limit,
                now=rt.clock(),
                lease=timedelta(seconds=rt.settings.lease_s),
                roll=rt.roll(),
            )
    except Unavailable:
        log.warning("nothing claimed: the database does not answer", extra={"action": "claim_failed"})
        time.sleep(DATABASE_WAIT_S)
        return []
