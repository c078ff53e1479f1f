"""The health of the hub in one line: that all is well, with figures, or what is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from webapp.store.feed_events import ACTION_CAP, NavCounts
from webapp.store.stats import Totals
from webapp.web.charts import seconds_in_words
from webapp.web.filters import capped

LONG_S = 60.0  # something that was due has waited for so long
LEAST_SUCCESS = 0.95
JUDGED_FROM = 20  # deliveries that ended: fewer tell nothing


@dataclass(frozen=True, slots=True)
class Health:
    """Whether all is well, and the words after "All well" or "Not well"."""

    is_well: bool
    words: tuple[str, ...]


def health_of(counts: NavCounts, gauges: Mapping[str, int], hour: Totals, paused: int) -> Health:
    """Judge how things stand, and the last hour."""
    faults = (*_faults(counts, gauges, hour), *_paused(paused))
    return Health(not faults, faults or _figures(gauges, hour))


def _faults(counts: NavCounts, gauges: Mapping[str, int], hour: Totals) -> tuple[str, ...]:
    oldest_s, success = gauges["oldest"] / 1000, hour.success
    found = []
    if not gauges["workers"]:
        found.append("no worker is running")
    if oldest_s >= LONG_S:
        found.append(f"the oldest due delivery has waited {seconds_in_words(oldest_s)}")
    if success is not None and success < LEAST_SUCCESS and hour.succeeded + hour.dead >= JUDGED_FROM:
        found.append(f"only {success:.1%} of the deliveries of the last hour succeeded")
    if counts.deliveries:
        verb = "needs" if counts.deliveries == 1 else "need"
        noun = "delivery" if counts.deliveries == 1 else "deliveries"
        found.append(f"{capped(counts.deliveries, ACTION_CAP)} {noun} {verb} action")
    return tuple(found)


def _paused(paused: int) -> tuple[str, ...]:
    if not paused:
        return ()
    return (f"{paused} paused {'subscription holds' if paused == 1 else 'subscriptions hold'} deliveries",)


def _figures(gauges: Mapping[str, int], hour: Totals) -> tuple[str, ...]:
    workers, oldest_s = gauges["workers"], gauges["oldest"] / 1000
    waits = f"the oldest due has waited {seconds_in_words(oldest_s)}" if gauges["due"] else "nothing waits"
    success = () if hour.success is None else (f"{hour.success:.1%} of the deliveries succeeded",)
    events = f"{hour.accepted:,} {'event' if hour.accepted == 1 else 'events'} in the last hour"
    return (f"{workers} {'worker' if workers == 1 else 'workers'}", events, *success, waits)
