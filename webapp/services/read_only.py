"""Read-only mode: people and programs look, and change nothing; no event comes in. What was accepted is worked off.

For an incident, an upgrade, a move to another database. Workers and the beat go on, schedules too: they are work of the
hub itself, set up before. Every door asks ``ReadOnly.check``; it knows the switch for a second.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, Fault, HubError, Refused, Unavailable
from webapp.runtime import Runtime
from webapp.services import trail
from webapp.store import read_only
from webapp.store.audit import Target

log = logging.getLogger(__name__)

KNOWN_FOR_S = 1.0
RETRY_AFTER_S = 60
REASON_CHARS = 300
HUB = Target("hub", "hub", "read-only mode")


@dataclass(frozen=True, slots=True)
class Mode:
    """Since when, why and by whom the hub is read-only."""

    since: datetime
    reason: str
    by: str


class IsReadOnly(HubError):
    """Nothing can be changed now; it is no matter of roles, and it will pass."""

    slug, status, title = "read-only", 503, "Read-only mode"
    retry_after_s = RETRY_AFTER_S

    def __init__(self, mode: Mode) -> None:
        super().__init__(f"The hub is read-only for now: {mode.reason}")


class ReadOnly:
    """What this process knows of the switch: looked up at most once a second, so that asking costs nothing."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._known: Mode | None = None
        self._until = 0.0

    def find(self) -> Mode | None:
        """The mode, or None while everything may be changed. Without a database, what was known last."""
        now = time.monotonic()
        if now >= self._until:
            self._until = now + KNOWN_FOR_S
            try:
                self._known = find_mode(self._rt)
            except Unavailable as error:
                log.warning("read-only mode not looked up: %s", error, extra={"action": "read_only_unknown"})
        return self._known

    def check(self) -> None:
        """Raise ``IsReadOnly`` while nothing may be changed."""
        if (mode := self.find()) is not None:
            raise IsReadOnly(mode)

    def forget(self) -> None:
        """Look it up again, because it was just switched here."""
        self._until = 0.0


def find_mode(rt: Runtime) -> Mode | None:
    """The mode as the database has it."""
    with rt.db.read() as conn:
        row = read_only.read_switch(conn)
    if row is None or row.value == read_only.OFF:
        return None
    said = row.details or {}
    since = datetime.fromtimestamp(row.value / 1000, UTC)
    return Mode(since, str(said.get("reason", "")), str(said.get("by", "")))


def switch_on(rt: Runtime, actor: Actor, reason: str) -> None:
    """Refuse changes from now on, within a second in every process. Raises ``Refused``, or ``Conflict`` when it is on."""
    actor.must("administer")
    reason = reason.strip()
    if not 0 < len(reason) <= REASON_CHARS or not reason.isprintable():
        fault = Fault("/reason", "invalid", f"Say why, in one line of {REASON_CHARS} characters at most.")
        raise Refused("invalid-reason", fault.message, faults=[fault])
    with rt.db.write() as conn:
        if not read_only.switch_on(conn, rt.clock(), {"reason": reason, "by": actor.name}):
            raise Conflict("The hub is read-only already.")
        _note(rt, conn, actor, "hub.made_read_only", reason)


def switch_off(rt: Runtime, actor: Actor) -> None:
    """Take changes again. Raises ``Conflict`` when it is off already."""
    actor.must("administer")
    with rt.db.write() as conn:
        if not read_only.switch_off(conn):
            raise Conflict("The hub is not read-only.")
        _note(rt, conn, actor, "hub.made_writable", "")


def _note(rt: Runtime, conn: Connection, actor: Actor, action: str, reason: str) -> None:
    trail.leave(rt, conn, actor, action, HUB, {"reason": reason} if reason else None)
