"""The circuit breaker of a subscription: closed, open, half-open. Pure: counts and the time are passed in.

Closed lets everything through. Open holds everything until ``probe_at``. Half-open holds everything but one
delivery, the probe, whose outcome decides: closed again, or open for another while. ``opened_at`` is the first
opening since it was last closed: it tells for how long the subscription has been failing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from webapp.domain.policies import Breaker

RECOVERY_PACE = 100.0  # deliveries per second that a breaker lets go when it closes: what was down is not flooded


class BreakerState(StrEnum):
    """Where a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Verdict(StrEnum):
    """What the probe showed."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNCLEAR = "unclear"  # snoozed, skipped, cancelled, interrupted: nothing was learned, another one is tried


@dataclass(frozen=True, slots=True)
class Tries:
    """How many tries of the window succeeded and failed; dead deliveries count as failed ones."""

    succeeded: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        """All that are counted."""
        return self.succeeded + self.failed

    @property
    def failure_rate(self) -> float:
        """The share that failed; 0 without any."""
        return self.failed / self.total if self.total else 0.0

    def minus(self, base: Tries) -> Tries:
        """Those that came after ``base``."""
        return Tries(max(0, self.succeeded - base.succeeded), max(0, self.failed - base.failed))


@dataclass(frozen=True, slots=True)
class Standing:
    """A breaker as it stands."""

    state: BreakerState = BreakerState.CLOSED
    opened_at: datetime | None = None
    probe_at: datetime | None = None  # open: the next probe; half-open: when the probe was let through

    @property
    def holds(self) -> bool:
        """Whether deliveries are held."""
        return self.state is not BreakerState.CLOSED


def trips(policy: Breaker, tries: Tries) -> bool:
    """Whether a closed breaker opens."""
    return tries.total >= policy.min_tries and tries.failed > 0 and tries.failure_rate >= policy.failure_rate


def open_at(policy: Breaker, now: datetime, before: Standing | None = None) -> Standing:
    """Open until the next probe. One that was not closed in between goes on counting from its first opening."""
    first = before.opened_at if before is not None and before.holds else None
    return Standing(BreakerState.OPEN, first or now, now + policy.open_for)


def probe_at(standing: Standing, now: datetime) -> Standing | None:
    """Half-open, when it is time for a probe; else None."""
    if standing.state is not BreakerState.OPEN or (standing.probe_at is not None and standing.probe_at > now):
        return None
    return replace(standing, state=BreakerState.HALF_OPEN, probe_at=now)


def judge(standing: Standing, verdict: Verdict, policy: Breaker, now: datetime) -> Standing:
    """Where a half-open breaker goes when its probe is over."""
    if verdict is Verdict.SUCCEEDED:
        return Standing()
    again = open_at(policy, now, standing)
    return again if verdict is Verdict.FAILED else replace(again, probe_at=now)


def has_failed_too_long(standing: Standing, policy: Breaker, now: datetime) -> bool:
    """Whether it was not closed for so long that the subscription is to be paused."""
    since = standing.opened_at
    return (
        standing.holds
        and since is not None
        and policy.disable_after is not None
        and now >= since + policy.disable_after
    )


def restarted(standing: Standing, now: datetime) -> Standing:
    """After a pause: an open one probes at once, and its time without success begins anew."""
    return replace(standing, state=BreakerState.OPEN, opened_at=now, probe_at=now) if standing.holds else standing


def allowance(pace: float, since: datetime, now: datetime, most: int) -> tuple[int, datetime]:
    """How many held deliveries a release lets go now, and until when that is accounted for.

    Fractions are kept for the next time; a beat that was late does not make up for more than ``most``.
    """
    elapsed = max(timedelta(), now - since)
    due = int(elapsed.total_seconds() * pace)
    if due > most:
        return most, now
    return due, since + timedelta(seconds=due / pace)
