"""Read models of pauses, breakers and releases, for pages and programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from webapp.domain.breaker import Tries
from webapp.domain.policies import Breaker
from webapp.store import breakers
from webapp.store import flow as flows
from webapp.store.engine import within
from webapp.store.flow import Flow, flow_of
from webapp.store.tables import subscriptions

COUNTED = 100_000  # held deliveries are counted up to here


@dataclass(frozen=True, slots=True)
class FlowRow:
    """How one subscription flows. ``breaker`` is its state, None when it has none."""

    breaker: str | None
    opened_at: datetime | None
    probe_at: datetime | None
    is_releasing: bool
    pace: float | None  # per second; None: as fast as it goes
    held: int | None  # counted for what is being released only

    @property
    def is_broken(self) -> bool:
        """Whether the breaker holds deliveries."""
        return self.breaker in ("open", "half_open")


@dataclass(frozen=True, slots=True)
class BreakerCard:
    """What the page of a subscription says of its breaker."""

    policy: Breaker
    tries: Tries  # that it judges by now


def read_flows(conn: Connection, ids: Sequence[str]) -> dict[str, FlowRow]:
    """How these subscriptions flow; deleted ones are absent."""
    if not ids:
        return {}
    found = conn.execute(flows.select_flows().where(within(conn, subscriptions.c.id, ids)))
    return {row.id: _row(conn, flow_of(row)) for row in found.all()}


def read_breaker(conn: Connection, subscription_id: str, now: datetime) -> BreakerCard | None:
    """The breaker of one subscription, if it has one."""
    flow = flows.find(conn, subscription_id)
    if flow is None or flow.policies.breaker is None:
        return None
    policy = flow.policies.breaker
    return BreakerCard(policy, breakers.recent_tries(conn, flow, policy.window, now))


def _row(conn: Connection, flow: Flow) -> FlowRow:
    has_breaker = flow.policies.breaker is not None or flow.standing.holds
    is_releasing = flow.pace is not None and flow.hold is None
    return FlowRow(
        breaker=str(flow.standing.state) if has_breaker else None,
        opened_at=flow.standing.opened_at,
        probe_at=flow.standing.probe_at,
        is_releasing=is_releasing,
        pace=flow.pace or None,
        held=flows.count_held(conn, flow.subscription_id, COUNTED) if is_releasing else None,
    )
