"""Group commit: whoever arrives while a commit is under way shares the next one.

A commit costs an fsync, and that cost is paid once per group. A lone ticket leads its own group and does not wait.
In a crowd the leader waits a moment for those who were there last time: they are on their way.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence

from webapp.domain.errors import Unavailable
from webapp.services.tickets import Ticket, Unstorable

log = logging.getLogger(__name__)

MAX_GROUP = 500  # events; a ticket of more has a commit of its own
WAIT_S = 30.0
CROWD = 8  # tickets at once; a group of fewer is not worth waiting for
GATHER_S = 0.02  # at most; with so many at once, each waits longer than that for its turn at the interpreter


class GroupCommit(ABC):
    """Queues tickets and commits them in groups; ``_write`` and ``_tell`` say what that means."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Ticket] = []
        self._busy = False
        self._crowd = 0  # tickets that were under way, waiting or in the group, when the last commit ended
        self._gathering: Ticket | None = None  # the leader who waits for the others

    @abstractmethod
    def _write(self, group: Sequence[Ticket]) -> object:
        """Write everybody, or nobody; what it answers is handed to ``_tell``."""

    @abstractmethod
    def _tell(self, group: Sequence[Ticket], written: object) -> None:
        """After the commit."""

    def _submit(self, ticket: Ticket) -> None:
        """Returns when every event of the ticket has its answer or its error."""
        ticket.gate.acquire()
        with self._lock:
            self._waiting.append(ticket)
            ticket.leads = not self._busy
            self._busy = True
            gathering = self._gathering if len(self._waiting) >= self._enough() else None
            if gathering is not None:
                self._gathering = None
        if gathering is not None:
            gathering.gate.release()
        if not ticket.leads:
            self._wait(ticket)
        if ticket.leads:
            self._lead(ticket)

    def _wait(self, ticket: Ticket) -> None:
        """Until the ticket is answered or is to lead. A group under way is waited for: its outcome is not open."""
        while not ticket.gate.acquire(timeout=WAIT_S):
            with self._lock:
                if ticket in self._waiting and not ticket.leads:
                    self._waiting.remove(ticket)
                    raise Unavailable("The database is too slow at the moment; send the event again.")

    def _enough(self) -> int:
        """How many a leader waits for: most of the last crowd, as one of them may be gone for good."""
        return min(self._crowd * 9 // 10, MAX_GROUP) if self._crowd >= CROWD else 0

    def _gather(self, leader: Ticket) -> None:
        with self._lock:
            if len(self._waiting) >= self._enough():
                return
            self._gathering = leader
        leader.gate.acquire(timeout=GATHER_S)
        with self._lock:
            self._gathering = None

    def _lead(self, leader: Ticket) -> None:
        """Commit everyone who waits, then hand the lead to the first of those who came meanwhile."""
        self._gather(leader)
        with self._lock:
            taken = _first_of(self._waiting)
            group, self._waiting = self._waiting[:taken], self._waiting[taken:]
        try:
            self._commit(group)
        finally:
            with self._lock:
                self._crowd = len(group) + len(self._waiting)
                successor = self._waiting[0] if self._waiting else None
                self._busy = successor is not None
                if successor is not None:
                    successor.leads = True
            for ticket in group:
                if not ticket.leads:
                    ticket.gate.release()
            if successor is not None:
                successor.gate.release()

    def _commit(self, group: Sequence[Ticket]) -> None:
        try:
            written = self._write(group)
        except Unavailable as error:
            for ticket in group:
                ticket.fail(error)
            return
        except Exception as error:
            parts = [[ticket] for ticket in group] if len(group) > 1 else [[part] for part in group[0].parts()]
            for part in parts:  # one of them spoils the group: each on its own
                self._commit(part)
            if not parts:
                group[0].fail(Unstorable("The database refused this event; the log has the details."))
                log.exception("an event could not be stored: %s", error, extra={"action": "accept_failed"})
            return
        self._tell(group, written)


def _first_of(waiting: Sequence[Ticket]) -> int:
    """How many of them go into one group: as many as fit, and at least one."""
    size = 0
    for n, ticket in enumerate(waiting):
        size += len(ticket.items)
        if n and size > MAX_GROUP:
            return n
    return len(waiting)
