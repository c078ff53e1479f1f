"""The time limit of a forked horse, known on both sides of the fork.

RQ fixes a job's time limit when the job is queued; a handler may prolong its deadline while it runs. The horse
writes the new limit into memory that it shares with its parent and moves RQ's alarm in its own process; the
parent, who kills horses that are late, reads it.
"""

from __future__ import annotations

import math
import mmap
import signal
import struct
import time

from webapp.queue import ISOLATED_MARGIN_S

_SECONDS = struct.Struct("=I")


class HorseLimit:
    """One horse at a time. Made in the parent, before any fork."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, _SECONDS.size)
        self._from = time.monotonic()

    def reset(self) -> None:
        """In the parent, before the fork: a new horse, with the limit that its job names."""
        self._from = time.monotonic()
        _SECONDS.pack_into(self._shared, 0, 0)

    def move(self, deadline: float) -> None:
        """In the horse: RQ must not end it before this deadline (monotonic) and the margin."""
        signal.alarm(max(1, math.ceil(deadline - time.monotonic())) + ISOLATED_MARGIN_S)
        _SECONDS.pack_into(self._shared, 0, math.ceil(deadline - self._from) + ISOLATED_MARGIN_S)

    def seconds(self) -> int:
        """In the parent: the limit that the horse asked for, counted from the fork; 0 when it did not."""
        return int(_SECONDS.unpack_from(self._shared, 0)[0])
