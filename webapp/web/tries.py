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
    def is_another_day(self) -> bool:
        """Whether the day is to be shown with the time."""
        return (self.at - self.after).date() != self.at.date()

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
    total: timedelta  # with jitter: at most
    cut: int = 0  # tries that would start beyond the greatest age; fewer when jitter shortens the waits
    barred: tuple[str, ...] = ()  # after these there is no further try
    last_start: datetime | None = None  # what the greatest age comes to

    @property
    def total_words(self) -> str:
        """From the first try to the last, for people."""
        return duration_in_words(self.total.total_seconds())


def schedule(policy: RetryPolicy, now: datetime) -> Schedule:
    """The plan from ``now``. With jitter every wait is the longest that it can be."""
    after, planned = timedelta(), [Try(1, timedelta(), timedelta(), now)]
    for n, wait in enumerate(preview(policy), start=2):
        after += wait
        planned.append(Try(n, wait, after, now + after))
    tries = [one for one in planned if not policy.is_over_age(one.after)]
    left_out = max(0, len(tries) - HEAD - TAIL)
    jitter = policy.jitter and policy.delays_s is None
    last_start = None if policy.max_age_s is None else now + timedelta(seconds=policy.max_age_s)
    is_cut = len(tries) < len(planned)
    return Schedule(
        tries=tuple(tries if left_out == 0 else [*tries[:HEAD], *tries[-TAIL:]]),
        left_out=left_out,
        jitter=jitter,
        total=last_start - now if last_start and is_cut and jitter else tries[-1].after,
        cut=len(planned) - len(tries),
        barred=(*policy.never_retry, *(f"HTTP {status}" for status in policy.never_retry_statuses)),
        last_start=last_start,
    )
