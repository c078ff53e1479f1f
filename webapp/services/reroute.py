"""Re-route: match a stored event against the subscriptions of today, and deliver it to those that have not had it.

A person asked for it, so quotas (rate limit, dedupe, debounce) are not; everything else of a policy holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from webapp.domain.access import Actor
from webapp.domain.conditions import event_view
from webapp.domain.errors import Conflict
from webapp.domain.intake import columns_of
from webapp.domain.routing import RouteTable, Rule
from webapp.live import EventChanged
from webapp.runtime import Runtime
from webapp.services import trail
from webapp.store import reroutes, subscriptions
from webapp.store.audit import Target
from webapp.store.events import get_event_row, to_event
from webapp.store.reroutes import Had

NAMED = 100  # subscriptions that the audit entry names


@dataclass(frozen=True, slots=True)
class Match:
    """A subscription that matches the event today, and what it has had of it."""

    rule: Rule
    had: Had | None


@dataclass(frozen=True, slots=True)
class Rerouted:
    """What was made of it."""

    deliveries: tuple[str, ...]
    skipped: tuple[Match, ...]  # they had the event already


def preview(rt: Runtime, event_uid: str) -> tuple[Match, ...]:
    """Who matches now. Nothing is written."""
    with rt.db.read() as conn:
        return _matches(conn, get_event_row(conn, event_uid), rt.clock())


def reroute(rt: Runtime, actor: Actor, event_uid: str, *, again: bool = False) -> Rerouted:
    """Deliver the event to every subscription that matches now; to those that had it only if ``again``."""
    actor.must("operate")
    now = rt.clock()
    with rt.db.write() as conn:
        event = reroutes.lock_event(conn, event_uid)
        if event.problem is not None:
            raise Conflict(
                "This event was rejected by the schema of its type, so it is neither re-routed nor replayed. Send it again, mended."
            )
        subscriptions.routes_revision(conn)  # locked: no rule changes under our hands
        matches = _matches(conn, event, now)
        chosen = [match for match in matches if again or match.had is None]
        view = event_view(to_event(event), now)
        rows = [_row(rt, event_uid, match, view, now) for match in chosen]
        reroutes.add_deliveries(conn, event_uid, rows)
        skipped = tuple(match for match in matches if match not in chosen)
        _write_audit(rt, conn, actor, event, chosen, len(skipped))
    _ring(rt, rows)
    rt.live.tell(EventChanged(event_uid, ""))
    return Rerouted(tuple(row["id"] for row in rows), skipped)


def _matches(conn: Connection, event: Any, now: datetime) -> tuple[Match, ...]:
    had = reroutes.had_by(conn, event.uid)
    table = RouteTable(subscriptions.load_rules(conn))
    return tuple(Match(one.rule, had.get(one.rule.id)) for one in table.route(to_event(event), now) if one.matched)


def _row(rt: Runtime, event_uid: str, match: Match, view: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    rule, had = match.rule, match.had
    return {
        "id": rt.new_id("dlv"),
        "event_uid": event_uid,
        "subscription_id": rule.id,
        "handler": rule.handler,
        "lane": rule.lane,
        "state": "held" if rule.held else "pending",
        "due_at": now,
        "created_at": now,
        "replay": 0 if had is None else had.n + 1,
        "replay_of": None if had is None else had.delivery_id,
        **columns_of(rule, view, now, now),
    }


def _ring(rt: Runtime, rows: Sequence[dict[str, Any]]) -> None:
    for lane in {row["lane"] for row in rows if row["state"] == "pending"}:
        rt.queue.ring(lane)


def _write_audit(
    rt: Runtime, conn: Connection, actor: Actor, event: Any, chosen: Sequence[Match], skipped: int
) -> None:
    names = {match.rule.id: match.rule.name for match in chosen[:NAMED]}
    details = {"deliveries": len(chosen), "skipped": skipped, "subscriptions": names}
    trail.leave(rt, conn, actor, "event.rerouted", Target("event", event.uid, event.type), details)
