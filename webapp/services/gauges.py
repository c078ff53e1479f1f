"""How things stand, noted once in a while by the beat: what no counter can tell afterwards."""

from __future__ import annotations

from webapp.runtime import Runtime
from webapp.store import gauges


def note(rt: Runtime) -> None:
    """Depth and age of the queue and the number of workers, into the minute of now."""
    now = rt.clock()
    with rt.db.read() as conn:
        standing = gauges.read_gauges(conn, now)
    with rt.db.write() as conn:
        gauges.save_gauges(conn, now, standing)
