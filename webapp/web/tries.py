"""A retry policy as a plan: when each try would run if the first one ran now and all failed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from webapp.domain.retry import RetryPolicy, preview
from webapp.web.words import duration_in_words

HEAD, TAIL = 7, 1  # of a long plan, the middle is left out


@dataclass(frozen=True, slots=True)
class Try:
    """One try: its number, the wait before it, how long after the first, and the time on the wall."""

    n: int
    wait: timedelta
    after: timedelta
    at: datetime

    @property
    def wait_words(self) -> str:
        """The wait for people."""
        return duration_in_words(self.wait.total_seconds())


@dataclass(frozen=True, slots=True)
class Schedule:
    """The tries to show; ``left_out`` lie between the last two."""

    tries: tuple[Try, ...]
    left_out: int
    jitter: bool
    total: timedelta

    @property
    def total_words(self) -> str:
        """From the first try to the last, for people."""
        return duration_in_words(self.total.total_seconds())


def schedule(policy: RetryPolicy, now: datetime) -> Schedule:
    """The plan from ``now``. With jitter every wait is the longest that it can be."""
    after, tries = timedelta(), [Try(1, timedelta(), timedelta(), now)]
    for n, wait in enumerate(preview(policy), start=2):
        after += wait
        tries.append(Try(n, wait, after, now + after))
    left_out = max(0, len(tries) - HEAD - TAIL)
    shown = tries if left_out == 0 else [*tries[:HEAD], *tries[-TAIL:]]
    return Schedule(tuple(shown), left_out, policy.jitter and policy.delays_s is None, after)
