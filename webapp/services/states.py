"""What handlers remember: read for a running attempt, forgotten by a person. Written by ``services.record`` alone."""

from __future__ import annotations

from webapp.domain.access import Actor
from webapp.domain.errors import NotFound
from webapp.domain.state import Stored
from webapp.live import SubscriptionChanged
from webapp.runtime import Runtime
from webapp.services import trail
from webapp.store import states
from webapp.store.audit import Target
from webapp.store.subscriptions import get_subscription


def read_one(rt: Runtime, subscription_id: str, key: str) -> Stored | None:
    """The value of one key and its version."""
    with rt.db.read() as conn:
        return states.read(conn, subscription_id, key)


def forget(rt: Runtime, actor: Actor, subscription_id: str, key: str) -> None:
    """Drop one key: the handler finds nothing there, as at the beginning."""
    actor.must("operate")
    with rt.db.write() as conn:
        row = get_subscription(conn, subscription_id)
        if not states.forget(conn, subscription_id, key):
            raise NotFound("Nothing is remembered under this key, or not any more.")
        target = Target("subscription", subscription_id, row.name)
        trail.leave(rt, conn, actor, "state.forgotten", target, {"key": key})
    rt.live.tell(SubscriptionChanged(subscription_id, ""))
