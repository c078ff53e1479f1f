"""Notices that time did something strange: this process slept, or the clock of the machine was set.

Leases are wall time. Who slept, or whose clock jumped, must not judge who was silent meanwhile. A suspended
machine looks like a clock that jumped: the monotonic clock stands still with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from webapp.domain.errors import Unavailable
from webapp.runtime import Runtime
from webapp.services.clock import set_back

log = logging.getLogger("jobs.beat")

GAP_S = 3.0
STEP_S = 2.0  # between two looks the clock and the monotonic clock went on differently by more than this


class ClockWatch:
    """Asked once per pulse."""

    def __init__(self, rt: Runtime, monotonic: Callable[[], float]) -> None:
        self._rt = rt
        self._last, self._wall = monotonic(), rt.clock()
        self._owed = False  # the clock went back and the database does not know yet

    def look(self, now: float) -> bool:
        """Whether time was strange since the last look: then the living are to renew their leases first."""
        wall = self._rt.clock()
        gap = now - self._last
        step = (wall - self._wall).total_seconds() - gap
        self._last, self._wall = now, wall
        slept = gap > GAP_S + self._rt.settings.sweep_s
        moved = abs(step) > STEP_S
        if slept:
            log.warning("asleep for %.0f s: nobody is judged this round", gap, extra={"action": "beat_gap"})
        if moved:
            log.warning("the clock moved by %.0f s: nobody is judged this round", step, extra={"action": "clock_set"})
        self._owed = self._owed or step < -STEP_S
        if self._owed:
            self._set_back()
        return slept or moved

    def _set_back(self) -> None:
        try:
            set_back(self._rt)
        except Unavailable:
            log.warning("set back: the database does not answer", extra={"action": "beat_missed"})
        else:
            self._owed = False
