"""``python -m jobs.beat``: the hub's pulse. Rings for due work, takes back lost work, drops what is outdated.

Several may run: every step is a compare-and-set. A beat that was itself asleep, or whose clock was set, must not
judge who was silent meanwhile: it skips a round, in which the living renew their leases.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime

from jobs.clockwatch import ClockWatch
from jobs.errands import Errands
from jobs.postman import Postman
from jobs.stopping import Stop, end_process
from jobs.worker import introduce
from webapp.domain.errors import HubError, Unavailable
from webapp.logs import configure_logging
from webapp.runtime import Runtime, build_runtime
from webapp.services import flow_upkeep, gatekeeper, gauges, presence, schedules, upkeep
from webapp.services.accept import Acceptor
from webapp.services.presence import Presence
from webapp.settings import load_settings

log = logging.getLogger("jobs.beat")  # it runs as __main__

PRUNE_S = 60.0
GATHER_S = 5.0
NOTE_S = 10.0
GATE_S = 0.05  # a throttle of a very short period is asked this often at most


class Beat:
    """One pulse per ``sweep_s``. The monotonic clock is passed in for tests."""

    def __init__(self, rt: Runtime, me: Presence, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rt, self._me, self._monotonic = rt, me, monotonic
        self._acceptor = Acceptor(rt)
        self._watch = ClockWatch(rt, monotonic)
        self._next_gate: datetime | None = None
        self._recovering_until = 0.0
        self._pruned = self._gathered = self._signed = float("-inf")
        self._noted = monotonic()  # the workers start beside the beat: give them time to arrive

    def pulse(self) -> None:
        """Everything that is to be done now. One step that fails does not keep the others from being done."""
        now = self._monotonic()
        if self._watch.look(now):
            self._recovering_until = now + self._rt.settings.heartbeat_s + 1.0
        if now >= self._recovering_until:
            self._attempt("rescue", lambda: upkeep.rescue(self._rt))
            if now - self._pruned >= PRUNE_S:
                self._pruned = now
                self._attempt("prune", lambda: upkeep.prune(self._rt))
        self._attempt("expire", lambda: upkeep.expire(self._rt))
        self._attempt("tend", lambda: flow_upkeep.tend(self._rt))
        if now - self._gathered >= GATHER_S:
            self._gathered = now
            self._attempt("gather", lambda: flow_upkeep.gather(self._rt))
        if now - self._noted >= NOTE_S:
            self._noted = now
            self._attempt("note", lambda: gauges.note(self._rt))
        self.gate()
        self._attempt("ring", lambda: upkeep.ring_due(self._rt))
        self._attempt("tick", lambda: schedules.tick(self._rt, self._acceptor))
        if now - self._signed >= self._rt.settings.heartbeat_s:
            self._signed = now
            self._attempt("sign", lambda: presence.give_sign(self._rt, self._me, self._me.state))

    def gate(self) -> None:
        """Let deliveries through their gates, and remember when a throttle lets the next ones through."""
        self._next_gate = None
        self._attempt("gate", self._open_gates)

    def wait_s(self) -> float:
        """Until the next pulse, or until a throttle opens if that is sooner."""
        if self._next_gate is None:
            return self._rt.settings.sweep_s
        left = (self._next_gate - self._rt.clock()).total_seconds()
        return min(self._rt.settings.sweep_s, max(GATE_S, left))

    def _open_gates(self) -> None:
        self._next_gate = gatekeeper.open_gates(self._rt).next_at

    def _attempt(self, what: str, act: Callable[[], object]) -> None:
        try:
            act()
        except Unavailable:
            log.warning("%s: the database does not answer", what, extra={"action": "beat_missed"})
        except Exception:
            log.exception("%s failed", what, extra={"action": "beat_failed"})


def main() -> int:
    """Run until told to stop."""
    settings = load_settings()
    configure_logging(settings, "beat")
    stop = Stop()
    rt = build_runtime(settings)
    me = introduce(rt, "beat")
    beat, errands, postman = Beat(rt, me), Errands(rt, me.name), Postman(rt)
    errands.start()
    postman.start()
    pulse_at = time.monotonic()
    while not stop.asked.wait(beat.wait_s()):
        if time.monotonic() < pulse_at:
            beat.gate()
            continue
        pulse_at = time.monotonic() + settings.sweep_s - GATE_S
        beat.pulse()
    errands.stop()
    postman.stop()
    try:
        presence.leave(rt, me)
    except HubError as error:
        log.warning("could not sign off: %s", error)
    rt.close()
    return 0


if __name__ == "__main__":
    end_process(main())
