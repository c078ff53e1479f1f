"""What is to be put right when the clock of the machine was set back: leases and due times are wall time."""

from __future__ import annotations

import logging
from datetime import timedelta

from webapp.runtime import Runtime
from webapp.store.clock import clamp_leases, make_due

log = logging.getLogger(__name__)


def set_back(rt: Runtime) -> None:
    """A dead worker's lease must not last an hour, nor new work wait for one. Safe to do at any time."""
    now = rt.clock()
    with rt.db.write() as conn:
        cut = clamp_leases(conn, now + timedelta(seconds=rt.settings.lease_s))
        due = make_due(conn, now)
    log.warning("clock set back: %d leases cut, %d deliveries made due", cut, due, extra={"action": "clock_set_back"})
