"""What the quotas say about new deliveries, inside the transaction that stores them: rate limit, dedupe, debounce.

Asked in this order, and a delivery that one of them skips is not shown to the next. Each is asked for a whole
group of events at a time, in order of subscription and key.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from webapp.domain.intake import Ask, debounced_until
from webapp.store import intake
from webapp.store.counters import minute_of, raise_counts
from webapp.store.events import shift_counts
from webapp.store.intake import Place

REMEMBERED = timedelta(days=1)  # a chain of debounced events, after its last delivery was due


@dataclass(slots=True)
class Decisions:
    """What was decided: columns to change by delivery id, and the events whose waiting delivery gave way."""

    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    given_way: list[tuple[str, Ask]] = field(default_factory=list)  # event uid, and what took its place

    def skip(self, ask: Ask, reason: str, instead: str | None = None) -> None:
        """This one is not run; ``instead`` is the delivery that is."""
        ended = {"state": "skipped", "reason": reason, "superseded_by": instead, "finished_at": ask.at, "gated": False}
        self.changes[ask.delivery_id] = ended


def decide(conn: Connection, asks: Sequence[Ask]) -> Decisions:
    """Ask the quotas. They are counted with the transaction: what is rolled back was not asked."""
    decided = Decisions()
    for kind, settle in (("rate_limit", _limit_rate), ("dedupe", _dedupe), ("debounce", _debounce)):
        left = [one for one in asks if one.delivery_id not in decided.changes]
        for place, some in _by_place(left, lambda one, kind=kind: getattr(one, kind)):  # type: ignore[misc]
            settle(conn, place, some, decided)
    return decided


def settle_counts(conn: Connection, decided: Decisions, rows: Iterable[dict[str, Any]]) -> None:
    """Counts of what was skipped: of new deliveries (``rows``) and of those that gave way.

    Called after the counts of the events themselves: everybody locks those, then events, then these.
    """
    skipped = [row for row in rows if row["state"] == "skipped"]
    closed = Counter([row["event_uid"] for row in skipped] + [uid for uid, _ in decided.given_way])
    shift_counts(conn, {uid: (-n, 0, 0) for uid, n in closed.items()})
    counted = Counter((minute_of(row["created_at"]), row["subscription_id"], "skipped", 0) for row in skipped)
    counted.update((minute_of(ask.at), ask.subscription_id, "skipped", 0) for _, ask in decided.given_way)
    raise_counts(conn, counted)


def _by_place(asks: Iterable[Ask], key_of: Callable[[Ask], str | None]) -> list[tuple[Place, list[Ask]]]:
    grouped: dict[Place, list[Ask]] = defaultdict(list)
    for one in asks:
        key = key_of(one)
        if key is not None:
            grouped[Place(one.subscription_id, key)].append(one)
    return sorted(grouped.items())


def _limit_rate(conn: Connection, place: Place, asks: Sequence[Ask], decided: Decisions) -> None:
    limit = asks[0].policies.rate_limit
    assert limit is not None
    taken = intake.count_in_window(conn, place, n=len(asks), most=limit.limit, period=limit.period, now=asks[-1].at)
    for one in asks[taken:]:
        decided.skip(one, "rate_limited")


def _dedupe(conn: Connection, place: Place, asks: Sequence[Ask], decided: Decisions) -> None:
    dedupe = asks[0].policies.dedupe
    assert dedupe is not None
    first = intake.first_in_window(conn, place, delivery_id=asks[0].delivery_id, window=dedupe.window, now=asks[0].at)
    for one in asks:
        if one.delivery_id != first:
            decided.skip(one, "duplicate", first)


def _debounce(conn: Connection, place: Place, asks: Sequence[Ask], decided: Decisions) -> None:
    """The last of them stays; the one that waits already gives way to it and hands down when the chain began."""
    last, policies = asks[-1], asks[-1].policies
    began, before = intake.last_of_chain(conn, place, delivery_id=last.delivery_id, now=asks[0].at)
    if before != last.delivery_id:
        uid = intake.supersede(conn, before, by=last.delivery_id, now=last.at)
        if uid is None:  # it runs or is about to: a new chain begins
            began = asks[0].at
        else:
            decided.given_way.append((uid, last))
    due = debounced_until(policies, last.at, began)
    intake.keep_chain(conn, place, delivery_id=last.delivery_id, began=began, until=due + REMEMBERED)
    decided.changes[last.delivery_id] = {"due_at": due} | (
        {} if policies.expires is None else {"expires_at": due + policies.expires}
    )
    for one in asks[:-1]:
        decided.skip(one, "superseded", last.delivery_id)
