"""The place that is struck: a hub, its PostgreSQL or the disk under its SQLite file, and who may be hit there."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil
from sqlalchemy import func, select

from tests.support.hub import Hub
from tests.support.servers import Postgres, short_directory
from webapp.domain.errors import Unavailable
from webapp.store.tables import attempts, deliveries

DISK_MB = 64
SHARED, ISOLATED, HORSE = "shared worker", "isolated worker", "horse"


class NothingToHit(Exception):
    """The target is not there at the moment (it is being started again)."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """An attempt that was under way in a process when that was killed or frozen."""

    delivery_id: str
    attempt: int
    at: datetime
    strike: int


@dataclass
class Site:
    """Where faults happen."""

    hub: Hub
    postgres: Postgres | None = None
    disk: Path | None = None  # a small file system that holds the SQLite file
    orphans: list[Orphan] = field(default_factory=list)
    strikes: int = 0
    _unasked: list[tuple[int, datetime, int]] = field(default_factory=list)

    def pids(self, kind: str) -> list[int]:
        """Processes of a kind, the leader first; raises when there are none."""
        found = [one.pid for one in self.hub.family() if _kind_of(one) == kind]
        if not found:
            raise NothingToHit(kind)
        return sorted(found)

    def busiest(self) -> int:
        """The shared worker that has most under way; raises when none has anything."""
        counted = (
            select(deliveries.c.lease_owner, func.count().label("n"))
            .where(deliveries.c.state == "running", deliveries.c.lease_owner.like("shared-%"))
            .group_by(deliveries.c.lease_owner)
        )
        try:
            with self.hub.rt.db.read() as conn:
                rows = sorted(conn.execute(counted), key=lambda row: -row.n)
        except Unavailable:
            raise NothingToHit("busy worker") from None
        owners = [int(row.lease_owner.split("-")[-2]) for row in rows]
        found = [pid for pid in owners if pid in self.pids(SHARED)]
        if not found:
            raise NothingToHit("busy worker")
        return found[0]

    def owner(self, pid: int, kind: str) -> int:
        """The process under whose name leases are held: a horse works for its parent."""
        if kind != HORSE:
            return pid
        with contextlib.suppress(psutil.Error):
            return psutil.Process(pid).ppid()
        raise NothingToHit(kind)

    def note_orphans(self, owner: int, at: datetime) -> None:
        """Remember what that process had under way; it can change nothing any more. Asked later if there is no database."""
        self._unasked.append((owner, at, self.strikes))
        self.ask_for_orphans()

    def ask_for_orphans(self) -> None:
        """Look up what could not be looked up before."""
        with contextlib.suppress(Unavailable):
            while self._unasked:
                owner, at, strike = self._unasked[0]
                running = select(deliveries.c.id, deliveries.c.attempt).where(
                    deliveries.c.state == "running", deliveries.c.lease_owner.like(f"%-{owner}-%")
                )
                with self.hub.rt.db.read() as conn:
                    self.orphans += [Orphan(row.id, row.attempt, at, strike) for row in conn.execute(running)]
                self._unasked.pop(0)

    def rescued_after(self) -> dict[Orphan, float]:
        """Seconds from the blow until the attempt was recorded as crashed, for those where it was."""
        crashed = select(attempts.c.delivery_id, attempts.c.n, attempts.c.finished_at).where(
            attempts.c.outcome == "crashed"
        )
        with self.hub.rt.db.read() as conn:
            ended = {(row.delivery_id, row.n): row.finished_at for row in conn.execute(crashed)}
        return {
            one: (ended[one.delivery_id, one.attempt] - one.at).total_seconds()
            for one in self.orphans
            if ended.get((one.delivery_id, one.attempt), one.at) > one.at  # at that moment it was being taken back
        }


def send(pid: int, sig: int) -> datetime:
    """A signal; gives the moment of it."""
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        raise NothingToHit(str(pid)) from None
    return datetime.now(UTC)


def thaw(pids: list[int]) -> None:
    """Let them go on, those that are left."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _kind_of(process: psutil.Process) -> str:
    try:
        line, parent = process.cmdline(), process.parent()
    except psutil.Error:
        return ""
    if "jobs.worker" in line:
        if "--isolated" not in line:
            return SHARED
        return HORSE if parent is not None and "jobs.worker" in _line_of(parent) else ISOLATED
    names = {"web": "gunicorn", "beat": "jobs.beat", "redis": "redis-server"}
    return next((kind for kind, word in names.items() if any(word in part for part in line)), "")


def _line_of(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


@contextlib.contextmanager
def small_disk() -> Iterator[Path | None]:
    """A file system of a few megabytes of its own, or None when this user may not mount one."""
    with short_directory() as home:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=0755", "tmpfs", str(home)]
        if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
            yield None
            return
        try:
            yield home
        finally:
            subprocess.run(["umount", "--lazy", str(home)], capture_output=True, check=False)
