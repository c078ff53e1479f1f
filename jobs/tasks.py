"""The only names that Redis may hold. What is queued says where to look, never what to do.

Both calls may come twice, late, or from a Redis that has been tampered with: each first claims in SQL,
and what cannot be claimed is not run.
"""

from __future__ import annotations

from jobs import drain as draining
from jobs import isolated
from jobs.engine import Engine
from webapp.queue import ISOLATED

_engine: Engine | None = None


def serve_with(engine: Engine | None) -> None:
    """The engine of this process, for the calls below."""
    global _engine
    _engine = engine


def drain(lane: str) -> int:
    """Empty a lane. Runs in the main thread of a shared worker."""
    if _engine is None:
        raise RuntimeError("drain runs in a worker started by jobs.worker")
    return draining.drain(_engine, str(lane))


def run_isolated(lane: str) -> int:
    """Run what is due in the isolated lane, one after the other. Runs in a process that was forked for it."""
    if lane != ISOLATED:
        raise PermissionError(f"nothing of the lane {str(lane)[:80]!r} runs in a process of its own")
    return isolated.run()
