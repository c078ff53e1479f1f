"""Which due deliveries are claimed: high priority before normal before low, and no subscription at the cost of another.

As long as a claim takes all that is due there is nothing to choose. When more is due than it may take, each
priority's share is divided among its subscriptions, so that a flood of one does not delay the other; a tenth is
kept for the lower priorities, so that they are late but do not starve.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Select, Text, bindparam, func, or_, select, text, union_all

from webapp.store.columns import Instant
from webapp.store.loose import Where, first_of_each, some_of_these
from webapp.store.tables import deliveries, subscriptions

LANES = ("default", "isolated")
PRIORITIES = (0, 1, 2)
MAX_SUBSCRIPTIONS = 64  # that share one claim; beyond, where they begin is drawn by lot
MAX_STEPS = 256  # from one subscription to the next
KEPT = 10  # one slot of so many is for a lower priority that has work
OLDEST = ("due_at", "id")

Take = Callable[[Select[Any], Mapping[str, Any]], int]

LANE, AT, MOST = bindparam("in_lane", type_=Text), bindparam("at", type_=Instant), bindparam("most", type_=Integer)


def may_start(row: Any, now: Any) -> tuple[ColumnElement[bool], ...]:
    """Due, let through by the gate, and not expired: what a claim may take. ``row`` is an alias of deliveries."""
    # Written out, not bound: a partial index serves only a predicate that the planner can read.
    due = text(f"{row.name}.state IN ('pending', 'waiting') AND NOT {row.name}.gated")
    return due, row.c.due_at <= now, or_(row.c.expires_at.is_(None), row.c.expires_at >= now)  # type: ignore[return-value]


@cache  # asked many times a second, and laying it out costs more than running it
def oldest_due(*, lock: bool, priorities: Sequence[int] = PRIORITIES) -> Select[Any]:
    """(id, priority) of due deliveries, by priority and age: one bounded look at the index for each priority.

    Run it with ``due_params``. The arms are run one after the other until there are enough, so no row is locked
    that is not taken.
    """
    arms = [_arm(priority, lock) for priority in priorities]
    if len(arms) == 1:
        return arms[0]
    together = union_all(*arms).limit(MOST).subquery("due")
    return select(together.c.id, together.c.priority)


def due_params(lane: str, limit: int, now: datetime) -> dict[str, Any]:
    """The parameters of ``oldest_due``."""
    return {"in_lane": lane, "most": limit, "at": now}


def _arm(priority: int, lock: bool) -> Select[Any]:
    d = deliveries.c
    due = select(d.id, d.priority).where(d.lane == LANE, d.priority == priority, *may_start(deliveries, AT))
    due = due.order_by(d.due_at, d.id).limit(MOST)
    found = (due.with_for_update(skip_locked=True) if lock else due).subquery(f"due_{priority}")
    return select(found.c.id, found.c.priority)


@cache
def _count_due() -> Select[Any]:
    return select(func.count()).select_from(oldest_due(lock=False).subquery("some"))


def take_fairly(conn: Connection, take: Take, *, lane: str, limit: int, now: datetime, roll: float) -> int:
    """Have ``take`` claim what is its turn while more is due than ``limit``; answers how many that were.

    ``take`` claims what a select names and answers the number. 0 when there is no backlog: then nothing was taken.
    """
    if conn.execute(_count_due(), due_params(lane, limit, now)).scalar_one() < limit:
        return 0
    taken, kept = 0, _kept(limit, roll)
    classes = list(_classes(conn, lane, now, roll))
    if limit == 1:
        classes = _by_lot(classes, roll)
    for place, (priority, members) in enumerate(classes):
        share = limit - taken - kept * (len(classes) - place - 1)
        taken += _take_class(conn, take, lane, priority, members, max(0, share), now)
    return taken


def _by_lot(classes: Sequence[tuple[int, list[str]]], roll: float) -> list[tuple[int, list[str]]]:
    """Of one that is taken nothing can be kept, nor shared: a tenth of the time a lower priority is first, and who of
    its subscriptions is first is drawn too."""
    tenth, rest = divmod(roll * KEPT, 1)
    first = 1 + int(rest * (len(classes) - 1)) if tenth == 0 and len(classes) > 1 else 0
    drawn = [*classes[first:], *classes[:first]]
    return [(priority, _turned(members, rest * KEPT % 1)) for priority, members in drawn]


def _turned(members: list[str], share: float) -> list[str]:
    place = int(share * len(members))
    return [*members[place:], *members[:place]]


def _kept(limit: int, roll: float) -> int:
    """A tenth, rounded up as often as the rest says."""
    whole, rest = divmod(limit, KEPT)
    return whole + (roll * KEPT < rest and limit > 1)


def _take_class(
    conn: Connection, take: Take, lane: str, priority: int, members: Sequence[str], share: int, now: datetime
) -> int:
    """The same number for each subscription, oldest first; what they leave goes to the oldest of all."""
    if share == 0:
        return 0
    taken = 0
    if len(members) > 1:
        where = _due_in(lane, now)
        members, each = members[:share], max(1, share // len(members))
        some = some_of_these(conn, "subscription_id", members, OLDEST, where, each, lock=True).subquery("some")
        taken = take(select(some.c.id).order_by(some.c.due_at, some.c.id).limit(share), {})
    if taken < share:
        taken += take(oldest_due(lock=True, priorities=(priority,)), due_params(lane, share - taken, now))
    return taken


def _classes(conn: Connection, lane: str, now: datetime, roll: float) -> Iterator[tuple[int, list[str]]]:
    """The subscriptions with due work, by the priority of their oldest delivery, who waits longest first."""
    rows, is_all = _with_due_work(conn, lane, now, None)
    if not is_all:
        more, _ = _with_due_work(conn, lane, now, _somewhere(conn, roll))
        rows = more if len(more) >= MAX_SUBSCRIPTIONS else [*rows, *more]
    classes: dict[int, dict[str, None]] = defaultdict(dict)
    for row in sorted(rows[-MAX_SUBSCRIPTIONS:], key=lambda row: (row.due_at, row.id)):
        classes[row.priority][row.subscription_id] = None
    if not is_all:  # there may be others of any priority
        classes |= {priority: {} for priority in PRIORITIES if priority not in classes}
    for priority in sorted(classes):
        yield priority, list(classes[priority])


def _with_due_work(conn: Connection, lane: str, now: datetime, after: str | None) -> tuple[list[Any], bool]:
    """Subscriptions behind ``after`` whose oldest delivery is due, and whether these are all that there are."""
    given = {"in_lane": lane} if after is None else {"in_lane": lane, "after": after}
    rows = conn.execute(first_of_subscriptions(MAX_STEPS, after is not None), given).all()
    due = [row for row in rows if row.due_at <= now]
    return due[:MAX_SUBSCRIPTIONS], len(rows) < MAX_STEPS and len(due) <= MAX_SUBSCRIPTIONS


@cache
def first_of_subscriptions(steps: int, is_behind: bool) -> Select[Any]:
    """The oldest delivery of each subscription in a lane that is not before its gate, due or not."""
    after: Any = bindparam("after", type_=Text) if is_behind else None
    found = first_of_each("subscription_id", OLDEST, _waits, steps, after, carry=("priority", "due_at"))
    priority, due_at = found.c.its_priority.label("priority"), found.c.its_due_at.label("due_at")
    return select(found.c.id, found.c.value.label("subscription_id"), priority, due_at)


def _somewhere(conn: Connection, roll: float) -> str | None:
    """The id of any subscription: where to begin, so that over time each has its turn."""
    ids = subscriptions.c.id
    count = conn.execute(select(func.count()).select_from(subscriptions)).scalar_one()
    return conn.execute(select(ids).order_by(ids).offset(int(roll * count)).limit(1)).scalar()


def _waits(row: Any) -> Sequence[ColumnElement[bool]]:
    waits = text(f"{row.name}.state IN ('pending', 'waiting') AND NOT {row.name}.gated")
    return row.c.lane == LANE, waits  # type: ignore[return-value]


def _due_in(lane: str, now: datetime) -> Where:
    return lambda row: (row.c.lane == lane, *may_start(row, now))
