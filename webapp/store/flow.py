"""How the deliveries of a subscription flow: its pause, its breaker, its release, and what these hold or let go.

Who changes any of these locks the subscription's row first, and who holds or releases deliveries shares that lock:
so nothing is let go under a pause that was just made. Rows are moved in batches, each in a transaction of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from webapp.domain.breaker import BreakerState, Standing, Tries
from webapp.domain.flow import Hold, hold_of
from webapp.domain.policies import Policies
from webapp.store.columns import Instant
from webapp.store.deliveries import IS_DUE_STATE
from webapp.store.engine import within
from webapp.store.tables import deliveries, gates, subscriptions

BATCH = 2000  # rows of one transaction
LANES = ("default", "isolated")
NO_LIMIT = 0.0  # as a pace: as fast as the batches go

# Written out, not bound: see store.deliveries.
IS_GATED_STATE = text("deliveries.state IN ('pending', 'waiting') AND deliveries.gated")
IS_HELD = text("deliveries.state = 'held'")
IS_PAUSED = text("subscriptions.paused_at IS NOT NULL AND subscriptions.deleted_at IS NULL")


GATED_AGAIN = or_(deliveries.c.gated, deliveries.c.order_key.is_not(None), deliveries.c.limit_key.is_not(None))


@dataclass(frozen=True, slots=True)
class Flow:
    """A subscription as it flows. ``v`` is the version of its row in ``gates``, None while it has none."""

    subscription_id: str
    name: str
    paused_at: datetime | None
    policies: Policies
    standing: Standing
    probe_id: str | None
    probe_attempt: int | None
    counted_from: datetime | None
    base: Tries
    pace: float | None  # of a release; NO_LIMIT, or None when nothing is being released
    released_at: datetime | None
    v: int | None

    @property
    def hold(self) -> Hold | None:
        """Why nothing of it runs."""
        return hold_of(is_paused=self.paused_at is not None, breaker_holds=self.standing.holds)


_FLOW = (
    subscriptions.c.id,
    subscriptions.c.name,
    subscriptions.c.paused_at,
    subscriptions.c.policies,
    *(column for column in gates.c if column.name != "subscription_id"),
)


def flow_of(row: Any) -> Flow:
    """The flow of a row of ``subscriptions`` left-joined with ``gates``."""
    has_gate = row.v is not None
    return Flow(
        subscription_id=row.id,
        name=row.name,
        paused_at=row.paused_at,
        policies=Policies.from_json(row.policies) if row.policies else Policies(),
        standing=Standing(BreakerState(row.breaker), row.opened_at, row.probe_at) if has_gate else Standing(),
        probe_id=row.probe_id,
        probe_attempt=row.probe_attempt,
        counted_from=row.counted_from,
        base=Tries(row.base_succeeded, row.base_failed) if has_gate else Tries(),
        pace=row.release_pace,
        released_at=row.released_at,
        v=row.v,
    )


def select_flows() -> Select[Any]:
    """Every subscription that is not deleted, for ``flow_of``."""
    joined = subscriptions.outerjoin(gates, gates.c.subscription_id == subscriptions.c.id)
    return select(*_FLOW).select_from(joined).where(subscriptions.c.deleted_at.is_(None))


def find(conn: Connection, subscription_id: str) -> Flow | None:
    """The flow of a subscription that is not deleted."""
    row = conn.execute(select_flows().where(subscriptions.c.id == subscription_id)).one_or_none()
    return None if row is None else flow_of(row)


def lock(conn: Connection, subscription_id: str, *, share: bool = False) -> Flow | None:
    """The same, and nobody changes it until the end of the transaction (SQLite has one writer anyway)."""
    row = select(subscriptions.c.id).where(subscriptions.c.id == subscription_id)
    conn.execute(row.with_for_update(read=share, key_share=not share))
    return find(conn, subscription_id)


def change(conn: Connection, flow: Flow, **values: Any) -> bool:
    """Compare-and-set on the row in ``gates``; it is made when there is none. False when somebody was faster."""
    if flow.v is None:
        insert = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
        made = insert(gates).values(subscription_id=flow.subscription_id, **values).on_conflict_do_nothing()
        return conn.execute(made.returning(gates.c.v)).first() is not None
    guard = (gates.c.subscription_id == flow.subscription_id, gates.c.v == flow.v)
    return conn.execute(update(gates).where(*guard).values(v=gates.c.v + 1, **values)).rowcount == 1


# Many at once, for the beat


def due_to_resume(conn: Connection, now: datetime, limit: int) -> Sequence[str]:
    """Paused subscriptions whose time is over."""
    query = select(subscriptions.c.id).where(IS_PAUSED, subscriptions.c.resume_at <= now)
    return conn.execute(query.order_by(subscriptions.c.resume_at).limit(limit)).scalars().all()


def restless(conn: Connection, limit: int) -> list[Flow]:
    """Those whose breaker is not closed, or that are being released."""
    joined = gates.join(subscriptions, subscriptions.c.id == gates.c.subscription_id)
    moves = or_(gates.c.breaker != BreakerState.CLOSED, gates.c.release_pace.is_not(None))
    query = select(*_FLOW).select_from(joined).where(subscriptions.c.deleted_at.is_(None), moves)
    return [flow_of(row) for row in conn.execute(query.order_by(gates.c.subscription_id).limit(limit))]


def blocked(conn: Connection, limit: int) -> Sequence[str]:
    """Those of which nothing may run."""
    paused = select(subscriptions.c.id).where(IS_PAUSED).limit(limit)
    open_ = select(gates.c.subscription_id).where(gates.c.breaker != BreakerState.CLOSED).limit(limit)
    return [*conn.execute(paused).scalars(), *conn.execute(open_).scalars()]


def orphaned(conn: Connection, limit: int) -> Sequence[str]:
    """Those that have held deliveries though nothing holds them or lets them go. One look at an index for each."""
    s = subscriptions.c
    moves = or_(gates.c.breaker != BreakerState.CLOSED, gates.c.release_pace.is_not(None))
    has_held = exists().where(deliveries.c.subscription_id == s.id, IS_HELD, _is_ours(deliveries))
    query = select(s.id).where(
        s.deleted_at.is_(None),
        s.paused_at.is_(None),
        has_held,
        s.id.not_in(select(gates.c.subscription_id).where(moves)),
    )
    return conn.execute(query.limit(limit)).scalars().all()


# Deliveries


def hold_due(conn: Connection, subscription_id: str, hold: Hold, limit: int = BATCH) -> int:
    """Hold up to ``limit`` deliveries that are due or will be; answers how many. Who is being claimed is passed by."""
    held = 0
    mine = deliveries.c.subscription_id == subscription_id
    for waits in (and_(IS_DUE_STATE, deliveries.c.lane.in_(LANES)), IS_GATED_STATE):
        if held < limit:
            some = select(deliveries.c.id).where(mine, waits).limit(limit - held).with_for_update(skip_locked=True)
            held += _move(conn, some, state="held", reason=str(hold))
    return held


def hold_blocked(conn: Connection, ids: Sequence[str]) -> None:
    """Deliveries that became due again while nothing of their subscription may run are held."""
    if not ids:
        return
    paused = select(subscriptions.c.id).where(subscriptions.c.paused_at.is_not(None))
    open_ = select(gates.c.subscription_id).where(gates.c.breaker != BreakerState.CLOSED)
    is_paused = deliveries.c.subscription_id.in_(paused)
    conn.execute(
        update(deliveries)
        .where(
            within(conn, deliveries.c.id, ids),
            deliveries.c.state.in_(("pending", "waiting")),
            or_(is_paused, deliveries.c.subscription_id.in_(open_)),
        )
        .values(
            state="held",
            reason=case((is_paused, str(Hold.PAUSED)), else_=str(Hold.BREAKER)),
            v=deliveries.c.v + 1,
        )
    )


def release_oldest(conn: Connection, flow: Flow, now: datetime, limit: int) -> int:
    """Let up to ``limit`` held deliveries go, oldest first; answers how many. Who has a place behind a gate passes it again."""
    values = {"state": "pending", "reason": None, "due_at": _due_at(now), "gated": GATED_AGAIN}
    some = _held(flow.subscription_id).limit(limit).with_for_update(skip_locked=True)
    return _move(conn, some, **values)


def release_probe(conn: Connection, flow: Flow, now: datetime) -> tuple[str, int] | None:
    """Let the oldest held delivery go; answers its id and its last attempt, None when there is none."""
    ready = _held(flow.subscription_id).where(not_(_is_scheduled(now)))
    row = conn.execute(ready.add_columns(deliveries.c.attempt).limit(1)).first()
    if row is None:
        return None
    some = select(deliveries.c.id).where(deliveries.c.id == row.id, IS_HELD).with_for_update()
    moved = _move(conn, some, state="pending", reason=None, due_at=now, gated=GATED_AGAIN)
    return (row.id, row.attempt) if moved else None


def relabel(conn: Connection, subscription_id: str, hold: Hold, after: str, limit: int = BATCH) -> str | None:
    """Give held deliveries behind ``after`` this reason; answers the last one looked at, None at the end."""
    looked_at = conn.execute(_held(subscription_id).where(deliveries.c.id > after).limit(limit)).scalars().all()
    if not looked_at:
        return None
    conn.execute(
        update(deliveries)
        .where(
            deliveries.c.subscription_id == subscription_id,
            IS_HELD,
            _is_ours(deliveries),
            deliveries.c.id > after,
            deliveries.c.id <= looked_at[-1],
        )
        .values(reason=str(hold))
    )
    return str(looked_at[-1])


def count_held(conn: Connection, subscription_id: str, most: int = 1_000_000) -> int:
    """How many are held, up to ``most``."""
    return _count(conn, _held(subscription_id).order_by(None).limit(most))


def count_due(conn: Connection, subscription_id: str) -> int:
    """How many are due or will be."""
    mine = deliveries.c.subscription_id == subscription_id
    ungated = select(deliveries.c.id).where(mine, IS_DUE_STATE, deliveries.c.lane.in_(LANES))
    return _count(conn, ungated) + _count(conn, select(deliveries.c.id).where(mine, IS_GATED_STATE))


def any_held(conn: Connection, subscription_id: str) -> bool:
    """Whether there is a held one."""
    return conn.execute(_held(subscription_id).limit(1)).first() is not None


def _is_ours(row: Any) -> ColumnElement[bool]:
    """Held by the subscription's doing, not by the loop guard."""
    return or_(row.c.reason.is_(None), row.c.reason != Hold.LOOP)


def _count(conn: Connection, query: Select[Any]) -> int:
    return int(conn.execute(select(func.count()).select_from(query.subquery())).scalar_one())


def _held(subscription_id: str) -> Select[Any]:
    mine = (deliveries.c.subscription_id == subscription_id, IS_HELD, _is_ours(deliveries))
    return select(deliveries.c.id).where(*mine).order_by(deliveries.c.id)


def _is_scheduled(now: datetime) -> ColumnElement[bool]:
    """Never tried, and its event is to be delivered later."""
    return and_(deliveries.c.attempt == 0, deliveries.c.due_at > literal(now, Instant()))


def _due_at(now: datetime) -> ColumnElement[Any]:
    return case((_is_scheduled(now), deliveries.c.due_at), else_=literal(now, Instant()))


def _move(conn: Connection, some: Select[Any], **values: Any) -> int:
    """Change the rows that ``some`` chooses by the state that they come from, and locks."""
    # The state is asked once: asked again out here, PostgreSQL may join the two row by row. A CTE, because it
    # may also run a bare subquery with LIMIT more than once.
    chosen = some.cte("chosen")
    moved = (
        update(deliveries)
        .where(deliveries.c.id.in_(select(chosen.c.id)))
        .values(v=deliveries.c.v + 1, **values)
        .returning(deliveries.c.id)  # SQLite's driver counts no rows of a statement that begins with WITH
    )
    return len(conn.execute(moved).all())
