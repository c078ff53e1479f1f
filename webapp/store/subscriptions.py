"""Subscriptions and the catalogue of handlers, with one revision number that says when to reload the routes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select, text, update

from webapp.domain.breaker import BreakerState
from webapp.domain.conditions import parse_condition
from webapp.domain.errors import NotFound
from webapp.domain.flow import Hold, hold_of_new
from webapp.domain.policies import Policies
from webapp.domain.routing import NO_POLICIES, Rule
from webapp.store import revisions
from webapp.store.tables import gates, handlers, meta, subscriptions

SHOWN_OF_HANDLERS = ("isolated", "batches", "options_schema", "description")
ROUTES_REVISION = "routes_revision"
REVISION_IN_FORCE = select(meta.c.value).where(meta.c.name == ROUTES_REVISION).with_for_update(read=True)


def get_subscription(conn: Connection, subscription_id: str) -> Row[Any]:
    """A subscription that is not deleted, or ``NotFound``."""
    row = conn.execute(
        select(subscriptions).where(subscriptions.c.id == subscription_id, subscriptions.c.deleted_at.is_(None))
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no subscription {subscription_id[:80]!r}.")
    return row


def list_subscriptions(conn: Connection, limit: int = 10_000) -> Sequence[Row[Any]]:
    """Those that are not deleted, by name."""
    alive = select(subscriptions).where(subscriptions.c.deleted_at.is_(None))
    return conn.execute(alive.order_by(subscriptions.c.name, subscriptions.c.id).limit(limit)).all()


def add_subscription(conn: Connection, row: Mapping[str, Any]) -> None:
    """Insert and tell the routers to reload."""
    conn.execute(subscriptions.insert(), dict(row))
    bump_routes(conn)


def change_subscription(
    conn: Connection, subscription_id: str, *, revision: int | None, at: datetime, **values: Any
) -> None:
    """Compare-and-set on the revision (when one is given), and tell the routers. Raises ``Conflict``."""
    revisions.change(conn, subscriptions, subscription_id, noun="subscription", revision=revision, at=at, **values)
    bump_routes(conn)


def bump_routes(conn: Connection) -> None:
    """Say that routing has changed; routers compare the number in the transaction that they route in."""
    conn.execute(update(meta).where(meta.c.name == ROUTES_REVISION).values(value=meta.c.value + 1))


def routes_revision(conn: Connection) -> int:
    """The number of the routing that is in force.

    Locked for share until the end of the transaction (SQLite has one writer anyway): whoever changes the
    routing waits for the events that are being routed, so none slips through under a deleted rule.
    """
    return int(conn.execute(REVISION_IN_FORCE).scalar_one())


def load_rules(conn: Connection) -> list[Rule]:
    """Every subscription as a routing rule, oldest first."""
    isolated = set(conn.execute(select(handlers.c.name).where(handlers.c.isolated)).scalars())
    joined = subscriptions.outerjoin(gates, gates.c.subscription_id == subscriptions.c.id)
    alive = select(subscriptions, gates.c.breaker, gates.c.release_pace).select_from(joined)
    alive = alive.where(subscriptions.c.deleted_at.is_(None)).order_by(subscriptions.c.id)
    return [rule_of(row, isolated) for row in conn.execute(alive)]


def rule_of(row: Any, isolated: Collection[str]) -> Rule:
    """The routing rule of a row; ``isolated`` are the handlers that run in processes of their own."""
    hold = _hold_of(row)
    return Rule(
        id=row.id,
        name=row.name,
        pattern=row.pattern,
        condition=None if row.condition is None else parse_condition(row.condition),
        handler=row.handler,
        lane="isolated" if row.handler in isolated else "default",
        held=hold is not None,
        why_held=hold or Hold.PAUSED,
        timeout_s=row.timeout_ms / 1000,
        policies=Policies.from_json(row.policies) if row.policies else NO_POLICIES,
        mode=row.mode,
    )


def _hold_of(row: Any) -> Hold | None:
    """Why new deliveries are held; a row without the columns of ``gates`` tells of the pause only."""
    known = row._mapping
    return hold_of_new(
        is_paused=row.paused_at is not None,
        breaker_holds=known.get("breaker") not in (None, BreakerState.CLOSED),
        is_releasing=known.get("release_pace") is not None,
        is_ordered="ordering" in (row.policies or ()),
    )


def replace_handlers(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Write the catalogue; answers whether it changed. ``rows`` hold every column but ``seen_at`` may differ."""
    if conn.dialect.name == "postgresql":  # workers start together: one after the other, while others may read
        conn.execute(text("LOCK TABLE handlers IN EXCLUSIVE MODE"))
    known = {row.name: row for row in conn.execute(select(handlers))}
    changed = set(known) != {row["name"] for row in rows} or any(
        any(getattr(known[row["name"]], field) != row[field] for field in SHOWN_OF_HANDLERS) for row in rows
    )
    conn.execute(delete(handlers))
    if rows:
        conn.execute(handlers.insert(), [dict(row) for row in rows])
    if changed:
        bump_routes(conn)
    return changed


def list_handlers(conn: Connection) -> Sequence[Row[Any]]:
    """The catalogue, by name."""
    return conn.execute(select(handlers).order_by(handlers.c.name)).all()
