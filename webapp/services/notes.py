"""How many refused events leave a trace: a burst of each sender, then one a second."""

from __future__ import annotations

import threading
import time

BURST = 60
SENDERS = 10_000


class Refusals:
    """A token bucket per sender, in this process."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float]] = {}  # sender -> (tokens, as of)
        self._lock = threading.Lock()

    def may_note(self, sender: str) -> bool:
        """Whether this one may be written down."""
        now = time.monotonic()
        with self._lock:
            if len(self._buckets) > SENDERS:
                self._buckets.clear()
            tokens, as_of = self._buckets.get(sender, (float(BURST), now))
            tokens = min(float(BURST), tokens + now - as_of)
            allowed = tokens >= 1
            self._buckets[sender] = (tokens - allowed, now)
        return allowed
