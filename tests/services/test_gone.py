"""A receiver that wants no more: paused once, with the reason, and people are told."""

from __future__ import annotations

from tests.support.factories import make_subscription, row_of, rows_of
from webapp.runtime import Runtime
from webapp.services.gone import pause_for_receiver
from webapp.store import tables


def test_subscription_is_paused_once_with_the_reason_and_people_are_told(rt: Runtime) -> None:
    made = make_subscription(rt, name="Shop")
    assert pause_for_receiver(rt, made, "shop.example answered 410 Gone")
    row = row_of(rt, tables.subscriptions, made)
    assert (row.paused_at, row.pause_reason) == (rt.clock(), "shop.example answered 410 Gone")
    (told,) = rows_of(rt, tables.notifications)
    assert (told.severity, told.title, told.link) == ("warning", "Shop is paused", f"/subscriptions/{made}")
    (entry,) = rows_of(rt, tables.audit)
    assert (entry.action, entry.actor_kind) == ("subscription.paused", "system")
    assert not pause_for_receiver(rt, made, "again")
    assert not pause_for_receiver(rt, "sub_none", "again")
    assert len(rows_of(rt, tables.notifications)) == 1
