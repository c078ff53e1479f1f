"""How far long work is, how fast it goes and when it may be done. Pure: the time is passed in.

A forecast that jumps is worse than none: the pace is smoothed, what is left is rounded up to calm steps, and as long
as too little is known it is not told at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from webapp.domain.instants import iso, parse_instant

SMOOTH_S = 30.0  # what happened longer ago than this hardly counts
KNOWN_AFTER_S = 2.0  # of work; before, nothing is foretold
FURTHEST_S = 30 * 86400.0  # nothing is foretold beyond
# What is left, rounded up: up to so many seconds, in steps of so many.
STEPS = ((60, 10), (600, 60), (3600, 300), (86400, 1800), (math.inf, 3600))


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast some work went at its last look. A plain average at first, later one that forgets."""

    done: float
    at: datetime
    active_s: float = 0.0
    rate: float | None = None  # a second

    def seen(self, done: float, at: datetime) -> Pace:
        """After another look. Work that went back, or a clock that was set back, makes no speed."""
        passed = (at - self.at).total_seconds()
        if passed <= 0:
            return replace(self, at=at)
        speed, active = max(0.0, done - self.done) / passed, self.active_s + passed
        weight = max(passed / active, 1 - math.exp(-passed / SMOOTH_S))
        rate = speed if self.rate is None else self.rate + weight * (speed - self.rate)
        return Pace(done, at, active, rate)

    def rested(self, at: datetime) -> Pace:
        """Until then nothing was to be done: that says nothing about the speed."""
        return replace(self, at=at)

    def to_json(self) -> dict[str, Any]:
        """To be kept with the work."""
        return {"done": self.done, "at": iso(self.at), "active_s": self.active_s, "rate": self.rate}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Pace:
        """What ``to_json`` wrote."""
        return cls(kept["done"], parse_instant(kept["at"]), kept["active_s"], kept["rate"])


def paced(kept: Mapping[str, Any] | None, done: float, at: datetime) -> dict[str, Any]:
    """What to keep after a look at the work; ``kept`` is what was kept after the one before."""
    return (Pace(done, at) if kept is None else Pace.from_json(kept).seen(done, at)).to_json()


def rested(kept: Mapping[str, Any] | None, at: datetime) -> dict[str, Any] | None:
    """What to keep when work goes on that was paused until then."""
    return None if kept is None else Pace.from_json(kept).rested(at).to_json()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far some work is, as it is shown."""

    state: str  # of the work, in its own words
    done: float
    total: float | None  # None: not known (yet)
    elapsed_s: float
    rate: float | None = None  # a second
    active_s: float = 0.0  # for how long the rate was watched
    is_running: bool = True
    message: str | None = None

    @property
    def share(self) -> float | None:
        """From 0 to 1."""
        if self.total is None:
            return None
        return 1.0 if self.total <= 0 else min(1.0, max(0.0, self.done / self.total))

    @property
    def percent(self) -> int | None:
        """Rounded down: 100 means all of it."""
        return None if self.share is None else math.floor(self.share * 100 + 1e-9)

    @property
    def left_s(self) -> float | None:
        """Seconds until it is done at this pace, rounded up; None: nobody knows, or there is nothing to wait for."""
        if not self.is_running or self.total is None or not self.rate or self.active_s < KNOWN_AFTER_S:
            return None
        left = (self.total - self.done) / self.rate
        return calm(left) if 0 < left <= FURTHEST_S else None


def calm(seconds: float) -> float:
    """Rounded up to a step that fits its size, so that the words do not flicker."""
    step = next(step for most, step in STEPS if seconds <= most)
    return math.ceil(seconds / step) * step
