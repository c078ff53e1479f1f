"""What a rule would have matched among events that really came, and how that differs from a saved version of it.

Each event is judged by the router's own table, as of the moment when it came. Pure: events in, a tally out; its
size is bounded however many events are added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from webapp.domain.conditions import Condition
from webapp.domain.events import Event
from webapp.domain.explain import as_it_came
from webapp.domain.routing import RouteTable, Rule

Change = Literal["kept", "added", "removed"]

SAMPLES = 5  # of each kind
SLOTS = 72  # bars of the chart at most
MINUTE = timedelta(minutes=1)
STEPS = (MINUTE, 10 * MINUTE, timedelta(hours=1), timedelta(hours=6), timedelta(days=1), timedelta(days=7))
DRAFT, SAVED = "draft", "saved"


@dataclass(frozen=True, slots=True)
class Sample:
    """An event, to look at."""

    uid: str
    type: str
    source: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Slot:
    """A stretch of time and how many events of it fall on each side of the change."""

    at: datetime
    kept: int = 0  # matched by the draft, and by the saved rule if there is one
    added: int = 0  # by the draft only
    removed: int = 0  # by the saved rule only


@dataclass(slots=True)
class Tally:
    """Counts and samples; events are added newest first. Without a saved rule, every match is "kept"."""

    table: RouteTable
    compares: bool
    looked: int = 0
    counts: Counter[Change] = field(default_factory=Counter)
    samples: dict[Change, list[Sample]] = field(default_factory=lambda: {"kept": [], "added": [], "removed": []})
    newest: datetime | None = None
    oldest: datetime | None = None
    _by_minute: dict[datetime, Counter[Change]] = field(default_factory=dict)

    @classmethod
    def of(cls, draft: Rule, saved: Rule | None = None) -> Tally:
        """An empty tally of a draft, compared with a saved rule if there is one."""
        return cls(RouteTable([draft] if saved is None else [draft, saved]), saved is not None)

    @property
    def matched(self) -> int:
        """Events that the draft matches."""
        return self.counts["kept"] + self.counts["added"]

    @property
    def matched_before(self) -> int:
        """Events that the saved rule matches."""
        return self.counts["kept"] + self.counts["removed"] if self.compares else 0

    @property
    def newest_matches(self) -> list[Sample]:
        """The newest events that the draft matches, whether the saved rule does or not."""
        matches = [*self.samples["kept"], *self.samples["added"]]
        return sorted(matches, key=lambda one: one.uid, reverse=True)[:SAMPLES]

    def add(self, event: Event) -> None:
        """Judge one event."""
        came = event.received_at or event.timestamp
        self.looked += 1
        self.newest, self.oldest = max(self.newest or came, came), min(self.oldest or came, came)
        change = self._judge(event, came)
        if change is None:
            return
        self.counts[change] += 1
        self._by_minute.setdefault(came.replace(second=0, microsecond=0), Counter())[change] += 1
        if len(self.samples[change]) < SAMPLES:
            self.samples[change].append(Sample(event.uid, event.type, event.source, came))

    def _judge(self, event: Event, came: datetime) -> Change | None:
        matching = {one.rule.id for one in self.table.route(as_it_came(event), came) if one.matched}
        if not matching:
            return None
        if DRAFT not in matching:
            return "removed"
        return "kept" if SAVED in matching or not self.compares else "added"

    def slots(self) -> tuple[Slot, ...]:
        """The whole stretch in at most ``SLOTS`` bars, oldest first; empty when nothing was looked at."""
        if self.oldest is None or self.newest is None:
            return ()
        step = step_of(self.oldest, self.newest)
        found: dict[datetime, Counter[Change]] = {}
        for minute, counts in self._by_minute.items():
            found.setdefault(_floor(minute, step), Counter()).update(counts)
        return tuple(
            Slot(at, counts["kept"], counts["added"], counts["removed"])
            for at in _starts(self.oldest, self.newest, step)
            for counts in (found.get(at, Counter[Change]()),)
        )


def rule_to_test(pattern: str, condition: Condition | None, name: str = DRAFT) -> Rule:
    """A rule that only routes; ``name`` is DRAFT or SAVED."""
    return Rule(name, name, pattern, condition, "")


def step_of(oldest: datetime, newest: datetime) -> timedelta:
    """The shortest step that draws the stretch in at most ``SLOTS`` bars: minutes, hours, days, or many days."""
    for step in STEPS:
        if (_floor(newest, step) - _floor(oldest, step)) / step < SLOTS:
            return step
    days = -(-(newest - oldest).days // (SLOTS - 1)) + 1
    return timedelta(days=days)


def _starts(oldest: datetime, newest: datetime, step: timedelta) -> Iterator[datetime]:
    at = _floor(oldest, step)
    while at <= newest:
        yield at
        at += step


def _floor(at: datetime, step: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return at - (at - epoch) % step


def step_in_words(slots: Sequence[Slot]) -> str:
    """``per hour``, ``per 6 h``; "" when there is one slot or none."""
    if len(slots) < 2:
        return ""
    minutes = (slots[1].at - slots[0].at) // MINUTE
    for size, one, short in ((1440, "day", "days"), (60, "hour", "hours"), (1, "minute", "minutes")):
        if minutes % size == 0:
            return f"per {one}" if minutes == size else f"per {minutes // size} {short}"
    raise AssertionError("a step has whole minutes")
