"""What the policies of a subscription make of a new delivery, before anything is asked of the database.

A plain rule (no policies, live) never comes here: most deliveries are of that kind. Quotas are asked
afterwards, in the transaction that stores the event: see ``services.intake``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webapp.domain.fields import Field, Found
from webapp.domain.keytemplates import KeyTemplate
from webapp.domain.policies import PRIORITIES, Policies
from webapp.domain.routing import Rule

# What a delivery of a plain rule has in these columns; rows that are inserted together have the same keys.
PLAIN: Mapping[str, Any] = {
    "reason": None,
    "priority": PRIORITIES["normal"],
    "gated": False,
    "order_key": None,
    "limit_key": None,
    "expires_at": None,
    "superseded_by": None,
    "finished_at": None,
}


@dataclass(frozen=True, slots=True)
class Ask:
    """A new delivery that quotas have a say in, with its key for each of them; None: not asked."""

    delivery_id: str
    event_uid: str
    subscription_id: str
    policies: Policies
    at: datetime
    rate_limit: str | None
    dedupe: str | None
    debounce: str | None


def columns_of(rule: Rule, view: Mapping[str, Any], starts_at: datetime, now: datetime) -> dict[str, Any]:
    """The columns of a new delivery that follow from the policies alone. A shadow ends where it begins."""
    policies = rule.policies
    columns = {
        **PLAIN,
        "reason": rule.why_held if rule.held else None,
        "priority": PRIORITIES[policies.priority],
        "gated": policies.gated,
        "order_key": None if policies.ordering is None else policies.ordering.key.render(view),
        "limit_key": limit_key_of(policies, view),
        "expires_at": None if policies.expires is None else starts_at + policies.expires,
    }
    if rule.mode == "shadow":
        columns |= {"state": "skipped", "reason": "shadow", "gated": False, "finished_at": now}
    return columns


def limit_key_of(policies: Policies, view: Mapping[str, Any]) -> str | None:
    """The key by which deliveries share a limit or a batch: the one that is written in them; empty when none has a key."""
    limits = [one for one in (policies.concurrency, policies.throttle, policies.batch) if one is not None]
    keys = [one.key for one in limits if one.key is not None]
    if keys:
        return keys[0].render(view)
    return "" if limits else None


def ask_of(rule: Rule, view: Mapping[str, Any], row: Mapping[str, Any], *, is_scheduled: bool) -> Ask | None:
    """What quotas are to be asked about this delivery; None when there is nothing to ask."""
    policies = rule.policies
    if rule.mode == "shadow" or not (policies.rate_limit or policies.dedupe or policies.debounce):
        return None
    # A scheduled event has its own time: it neither pushes others aside nor is it pushed.
    debounce = None if is_scheduled else policies.debounce
    return Ask(
        delivery_id=row["id"],
        event_uid=row["event_uid"],
        subscription_id=rule.id,
        policies=policies,
        at=row["created_at"],
        rate_limit=None if policies.rate_limit is None else _render(policies.rate_limit.key, view),
        dedupe=_dedupe_key(policies, view),
        debounce=None if debounce is None else _render(debounce.key, view),
    )


def debounced_until(policies: Policies, now: datetime, chain_began: datetime) -> datetime:
    """When the last event of a chain is due: after a quiet period, but not later than the longest wait allows."""
    debounce = policies.debounce
    if debounce is None:
        raise ValueError("these policies have no debounce")
    due = now + debounce.period
    return due if debounce.max_wait is None else max(now, min(due, chain_began + debounce.max_wait))


def _dedupe_key(policies: Policies, view: Mapping[str, Any]) -> str | None:
    """None when the event has not one of the key's fields: events without a key are not each other's duplicates."""
    if policies.dedupe is None or not _has_any(policies.dedupe.key, view):
        return None
    return policies.dedupe.key.render(view)


def _has_any(key: KeyTemplate, view: Mapping[str, Any]) -> bool:
    found = (part.read(view) for part in key.parts if isinstance(part, Field))
    return any(isinstance(one, Found) and one.value is not None for one in found)


def _render(key: KeyTemplate | None, view: Mapping[str, Any]) -> str:
    return "" if key is None else key.render(view)
