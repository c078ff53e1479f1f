"""Strikes at random, by a seed: every fault once in random order, then again; some overlap."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from tests.chaos.faults import Blow, Fault
from tests.chaos.site import NothingToHit, Site


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault that happened."""

    fault: Fault
    number: int
    began: datetime
    monotonic: float
    blow: Blow


class Injector:
    """``run`` strikes for a while and leaves nothing broken behind."""

    def __init__(
        self, site: Site, faults: Sequence[Fault], seed: int, pauses_s: tuple[float, float], opening: Sequence[str] = ()
    ) -> None:
        self.strikes: list[Strike] = []
        self.skipped = 0
        self._site, self._faults, self._random, self._pauses_s = site, list(faults), Random(seed), pauses_s
        self._deck = [
            fault for name in reversed(opening) for fault in faults if fault.name == name
        ]  # drawn from its end
        self._undo: list[tuple[float, str, Callable[[], None]]] = []
        self._stop_asked = threading.Event()

    def run(self, seconds: float, tell: Callable[[str], None]) -> None:
        """Strike until the time is over, then undo what still lasts."""
        began = time.monotonic()
        try:
            while time.monotonic() - began < seconds:
                self._wait(self._random.uniform(*self._pauses_s))
                self._strike(began, tell)
            self._wait(0.5)
        finally:
            self._undo_until(float("inf"))

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            self._undo_until(now)
            time.sleep(min(0.05, end - now))

    def _undo_until(self, now: float) -> None:
        due = [one for one in self._undo if one[0] <= now]
        self._undo = [one for one in self._undo if one[0] > now]
        for _, _, undo in sorted(due, key=lambda one: one[0]):
            undo()
            self._site.ask_for_orphans()

    def _strike(self, began: float, tell: Callable[[str], None]) -> None:
        fault = self._draw()
        at, now = datetime.now(UTC), time.monotonic()
        self._site.strikes = len(self.strikes)
        try:
            blow = fault.strike(self._site, self._random)
        except NothingToHit:
            self.skipped += 1
            self._deck.insert(max(len(self._deck) - 1, 0), fault)  # drawn again after the next
            return
        if blow.undo is not None:
            self._undo.append((now + blow.seconds, fault.name, blow.undo))
        self.strikes.append(Strike(fault, len(self.strikes), at, now, blow))
        lasts = f" for {blow.seconds:.1f} s" if blow.seconds else ""
        tell(f"{now - began:6.1f} s  {fault.name}{lasts}")

    def _draw(self) -> Fault:
        """The next card. A database that is down is not struck a second time."""
        if not self._deck:
            self._deck = self._random.sample(self._faults, len(self._faults))
        down = {name for _, name, _ in self._undo if "PostgreSQL" in name or "disk" in name}
        for place in range(len(self._deck) - 1, -1, -1):
            if not (down and self._deck[place].needs):
                return self._deck.pop(place)
        return self._deck.pop()
