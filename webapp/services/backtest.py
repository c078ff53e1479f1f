"""Backtests: what a draft of a rule would have matched among the newest events, within a time budget.

Read in chunks, each in a transaction of its own, so that no snapshot is held open for long. Nothing is written.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from webapp.domain.backtest import SAVED, Tally, rule_to_test
from webapp.domain.errors import NotFound
from webapp.domain.routing import Rule
from webapp.runtime import Runtime
from webapp.store.feed_backtest import events_before
from webapp.store.feed_explain import known_subscriptions

EVENTS = 10_000  # looked at in one go
CHUNK = 500
BUDGET_S = 2.0

# One at a time in a process: accepting events must not have to share the interpreter with many of them.
_turn = threading.Lock()


@dataclass(frozen=True, slots=True)
class Backtest:
    """The tally of a stretch of events. ``next``: go on before this uid; None: there are no older events."""

    tally: Tally
    next: str | None
    is_cut: bool  # the time was up before ``EVENTS`` were looked at


def backtest(
    rt: Runtime,
    draft: Rule,
    subscription_id: str | None = None,
    before: str = "",
    *,
    stopwatch: Callable[[], float] = time.monotonic,
) -> Backtest:
    """Judge the newest events (older than ``before``) by a draft, compared with a saved rule if one is named."""
    saved = None if subscription_id is None else _saved(rt, subscription_id)
    with _turn:
        return _look(rt, draft, saved, before, stopwatch)


def _look(rt: Runtime, draft: Rule, saved: Rule | None, before: str, stopwatch: Callable[[], float]) -> Backtest:
    tally, rules = Tally.of(draft, saved), [draft] if saved is None else [draft, saved]
    end = stopwatch() + BUDGET_S
    while tally.looked < EVENTS:
        chunk = min(CHUNK, EVENTS - tally.looked)
        seen = tally.looked
        with rt.db.read() as conn, closing(events_before(conn, before, rules, chunk)) as found:
            for event in found:
                tally.add(event)
                before = event.uid
                if stopwatch() > end:
                    return Backtest(tally, before, is_cut=tally.looked < EVENTS)
        if tally.looked - seen < chunk:
            return Backtest(tally, None, is_cut=False)
    return Backtest(tally, before, is_cut=False)


def _saved(rt: Runtime, subscription_id: str) -> Rule | None:
    """The saved rule; None when its condition is not understood any more, as then it matches nothing to compare."""
    with rt.db.read() as conn:
        found = known_subscriptions(conn, [subscription_id])
    if not found or found[0].deleted_at is not None:
        raise NotFound(f"There is no subscription {subscription_id[:80]!r}.")
    rule = found[0].rule
    return None if found[0].is_broken else rule_to_test(rule.pattern, rule.condition, SAVED)
