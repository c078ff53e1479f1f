"""Workers saying that they are there, what they do, and that they leave. Browsers are told of comings and goings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from webapp.domain.access import SYSTEM
from webapp.live import WorkerChanged
from webapp.runtime import Runtime
from webapp.store import audit, workers


@dataclass(slots=True)
class Presence:
    """What a worker process tells of itself."""

    name: str
    kind: str  # shared, isolated, beat
    host: str
    pid: int
    started_at: datetime
    state: str = "idle"  # idle busy stopping
    running: int = 0
    finished: int = 0


def arrive(rt: Runtime, presence: Presence) -> None:
    """A worker starts."""
    with rt.db.write() as conn:
        workers.save_worker(conn, asdict(presence) | {"seen_at": rt.clock()})
        audit.add_many(conn, [_entry(rt, presence, "worker.started")])
    rt.live.tell(WorkerChanged(presence.name, presence.state))


def give_sign(rt: Runtime, presence: Presence, told: str) -> None:
    """A heartbeat. Browsers are told only when the state is not the one they were ``told`` last."""
    with rt.db.write() as conn:
        workers.save_worker(conn, asdict(presence) | {"seen_at": rt.clock()})
    if presence.state != told:
        rt.live.tell(WorkerChanged(presence.name, presence.state))


def leave(rt: Runtime, presence: Presence) -> None:
    """A worker ends in good order."""
    with rt.db.write() as conn:
        if workers.delete_worker(conn, presence.name):
            audit.add_many(conn, [_entry(rt, presence, "worker.stopped")])
    rt.live.tell(WorkerChanged(presence.name, "stopped"))


def _entry(rt: Runtime, presence: Presence, action: str) -> dict[str, Any]:
    return audit.entry(
        id=rt.new_id("aud"),
        at=rt.clock(),
        actor=SYSTEM,
        action=action,
        target_kind="worker",
        target_id=presence.name,
        target_name=presence.name,
        details={"kind": presence.kind, "pid": presence.pid, "finished": presence.finished},
    )
