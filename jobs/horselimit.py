"""What a forked horse and its parent must know of each other, in memory that they share across the fork.

RQ fixes a job's time limit when the job is queued, but a horse runs one delivery after the other, and a handler may
prolong its deadline. The horse moves RQ's alarm in its own process and notes the new limit here, where the parent,
who kills horses that are late, reads it. It counts what it has ended; the parent says when it is to take no more.
"""

from __future__ import annotations

import math
import mmap
import signal
import struct
import time

from webapp.queue import ISOLATED_MARGIN_S

_NUMBER = struct.Struct("=I")
_SECONDS, _ENDED, _CLOSING = (place * _NUMBER.size for place in range(3))


class HorseLimit:
    """One horse at a time. Made in the parent, before any fork."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 3 * _NUMBER.size)
        self._from = time.monotonic()

    def reset(self) -> None:
        """In the parent, before the fork: a new horse, with the limit that its job names."""
        self._from = time.monotonic()
        self._put(_SECONDS, 0)
        self._put(_ENDED, 0)

    def move(self, deadline: float) -> None:
        """In the horse: RQ must not end it before this deadline (monotonic) and the margin."""
        signal.alarm(max(1, math.ceil(deadline - time.monotonic())) + ISOLATED_MARGIN_S)
        self._put(_SECONDS, math.ceil(deadline - self._from) + ISOLATED_MARGIN_S)

    def seconds(self) -> int:
        """In the parent: the limit that the horse asked for, counted from the fork; 0 when it did not."""
        return self._get(_SECONDS)

    def count(self, ended: int) -> None:
        """In the horse: so many deliveries have ended."""
        self._put(_ENDED, ended)

    def ended(self) -> int:
        """In the parent: how many deliveries the horse has ended."""
        return self._get(_ENDED)

    def close(self) -> None:
        """In the parent: the worker stops, its horse takes no further delivery."""
        self._put(_CLOSING, 1)

    def is_closing(self) -> bool:
        """In the horse: whether to take no further delivery."""
        return self._get(_CLOSING) != 0

    def _put(self, place: int, number: int) -> None:
        _NUMBER.pack_into(self._shared, place, number)

    def _get(self, place: int) -> int:
        return int(_NUMBER.unpack_from(self._shared, place)[0])
