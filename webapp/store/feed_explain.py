"""Read models of explanations: the subscriptions that an event may meet, and what it led to.

Deleted subscriptions are in here too where they matter: those that were still there when the event came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, or_, select

from webapp.domain.conditions import parse_condition
from webapp.domain.errors import Refused
from webapp.domain.explain import Happened, Known
from webapp.domain.routing import RouteTable, Rule
from webapp.store.engine import within
from webapp.store.subscriptions import rule_of
from webapp.store.tables import audit, deliveries, gates, subscriptions

EDITS_READ = 1_000


def fitting_ids(conn: Connection, event_type: str, alive_at: datetime | None = None) -> list[str]:
    """Subscriptions whose pattern fits, oldest first; with ``alive_at`` also those that were deleted after it."""
    s = subscriptions.c
    alive = s.deleted_at.is_(None) if alive_at is None else or_(s.deleted_at.is_(None), s.deleted_at > alive_at)
    may_fit = or_(s.pattern == event_type, s.pattern.contains("*"))  # conditions of ten thousand are not read
    rows = conn.execute(select(s.id, s.pattern).where(alive, may_fit).order_by(s.id))
    table = RouteTable(Rule(row.id, "", row.pattern, None, "") for row in rows)
    return [rule.id for rule in table.candidates(event_type)]


def known_subscriptions(conn: Connection, ids: Sequence[str]) -> list[Known]:
    """These subscriptions, deleted or not, oldest first."""
    joined = subscriptions.outerjoin(gates, gates.c.subscription_id == subscriptions.c.id)
    found = select(subscriptions, gates.c.breaker, gates.c.release_pace).select_from(joined)
    chosen = found.where(within(conn, subscriptions.c.id, ids)).order_by(subscriptions.c.id)
    return [_known(row) for row in conn.execute(chosen)] if ids else []


def earlier_rules(conn: Connection, known: Sequence[Known], at: datetime) -> dict[str, Rule]:
    """The rules as they were then, of subscriptions that were edited since, as far as the audit log tells."""
    rules = {one.rule.id: one.rule for one in known if one.created_at <= at < one.updated_at}
    a = audit.c
    edits = select(a.target_id, a.details).where(a.action == "subscription.updated", a.at > at).order_by(a.id)
    found = conn.execute(edits.where(within(conn, a.target_id, list(rules))).limit(EDITS_READ)) if rules else ()
    before: dict[str, dict[str, Any]] = {}
    for row in found:  # oldest first: the first "before" of a column is what it held then
        for name, change in row.details.get("changes", {}).items():
            if name in ("pattern", "condition"):
                before.setdefault(row.target_id, {}).setdefault(name, change["before"])
    earlier = {key: _earlier(rules[key], values) for key, values in before.items()}
    return {key: rule for key, rule in earlier.items() if rule is not None}


def _earlier(rule: Rule, before: dict[str, Any]) -> Rule | None:
    condition, pattern = rule.condition, before.get("pattern", rule.pattern)
    try:
        if "condition" in before:
            condition = None if before["condition"] is None else parse_condition(before["condition"])
    except Refused:
        return None
    return replace(rule, pattern=pattern, condition=condition)


def happened(conn: Connection, event_uid: str, limit: int) -> dict[str, Happened]:
    """What an event led to, by subscription: its newest delivery there. At most ``limit`` deliveries are read."""
    d = deliveries.c
    found = select(d.subscription_id, d.id, d.state, d.replay).where(d.event_uid == event_uid).order_by(d.id)
    rows = sorted(conn.execute(found.limit(limit)), key=lambda row: row.replay)
    return {row.subscription_id: Happened(row.id, row.state) for row in rows}


def happened_at(conn: Connection, event_uid: str, subscription_id: str) -> dict[str, Happened]:
    """The same for one subscription."""
    d = deliveries.c
    found = select(d.id, d.state).where(d.event_uid == event_uid, d.subscription_id == subscription_id)
    row = conn.execute(found.order_by(d.replay.desc()).limit(1)).first()
    return {} if row is None else {subscription_id: Happened(row.id, row.state)}


def _known(row: Any) -> Known:
    try:
        rule, is_broken = rule_of(row, ()), False
    except Refused:
        held = row.paused_at is not None
        rule, is_broken = Rule(row.id, row.name, row.pattern, None, row.handler, held=held), True
    return Known(rule, row.created_at, row.updated_at, row.deleted_at, is_broken)
