"""A receiver that says that it wants no more: its subscription is paused, and people are told."""

from __future__ import annotations

from webapp.domain.access import SYSTEM
from webapp.domain.errors import Conflict, NotFound
from webapp.runtime import Runtime
from webapp.services import subscriptions
from webapp.services.notify import notify
from webapp.store.subscriptions import get_subscription


def pause_for_receiver(rt: Runtime, subscription_id: str, reason: str) -> bool:
    """Pause it with that reason; False when that was done already, or it is deleted."""
    try:
        with rt.db.read() as conn:
            name = get_subscription(conn, subscription_id).name
        subscriptions.pause(rt, SYSTEM, subscription_id, reason)
    except (Conflict, NotFound):
        return False
    notify(
        rt,
        "warning",
        f"{name} is paused",
        f"{reason}. What comes for it is held until somebody resumes it.",
        kind="subscription_paused",
        subscription_id=subscription_id,
        link=f"/subscriptions/{subscription_id}",
        dedupe_key=f"gone:{subscription_id}",
    )
    return True
