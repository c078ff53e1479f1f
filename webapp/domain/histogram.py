"""Durations as counts in logarithmic buckets: they add up over minutes and workers without losing percentiles.

Bucket b holds what is longer than ``upper_bound(b - 1)`` and not longer than ``upper_bound(b)``. The bounds
grow by 5 % from 0.1 ms to one day, so a quantile is never too small and at most 5 % too large.
The numbers are stored; changing the bounds would misread history.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from math import ceil, log

SMALLEST_S = 0.0001
LARGEST_S = 86_400.0
GROWTH = 1.05

_COUNT = ceil(log(LARGEST_S / SMALLEST_S) / log(GROWTH))
_BOUNDS = (*(SMALLEST_S * GROWTH**n for n in range(_COUNT)), LARGEST_S)
LAST_BUCKET = len(_BOUNDS) - 1


def bucket_of(seconds: float) -> int:
    """The bucket of a duration in seconds; shorter than 0.1 ms (or negative) is 0, longer than a day the last."""
    if not seconds > SMALLEST_S:  # also NaN
        return 0
    return min(bisect_left(_BOUNDS, seconds), LAST_BUCKET)


def upper_bound(bucket: int) -> float:
    """The longest duration, in seconds, that belongs to ``bucket``."""
    return _BOUNDS[min(max(bucket, 0), LAST_BUCKET)]


def quantile(counts: Mapping[int, int], q: float) -> float | None:
    """The duration, in seconds, that a share ``q`` (0 to 1) does not exceed (nearest rank); None without counts."""
    total = sum(counts.values())
    if total <= 0:
        return None
    rank = max(1, ceil(q * total))
    seen = 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= rank:
            return upper_bound(bucket)
    return upper_bound(max(counts))
