"""How many attempts are started before the loop comes round again.

Everything that runs has time limits of its own: a call to a receiver, a connection, the attempt. Thousands that are all
started on a machine with little processor time to give would all run into them together. So the further the loop is
behind, the fewer are added to it; what is not started yet waits under its lease, which costs nothing.
"""

from __future__ import annotations

MOST = 200
LEAST = 8
ROUND_S = 0.2  # the loop is behind when it takes longer than this to come round


class Pace:
    """Half as many after each slow round, twice as many after each quick one."""

    def __init__(self) -> None:
        self.starts = MOST

    def came_round(self, took_s: float) -> None:
        """The loop did what was started, and everything else that was its turn, in that time."""
        self.starts = max(LEAST, self.starts // 2) if took_s > ROUND_S else min(MOST, 2 * self.starts)
