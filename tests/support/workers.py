"""Real worker and beat processes on a test's database and Redis, and events for them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from jobs.catalog import sync
from tests.support.factories import make_subscription, row_of
from tests.support.servers import dies_with_us, wait_until
from tests.support.sources import ROOT
from webapp.domain.access import SYSTEM
from webapp.domain.events import EventDraft
from webapp.domain.jsontext import to_text
from webapp.runtime import Runtime
from webapp.services.accept import Accepted, Acceptor
from webapp.store import tables as t

PLUGIN = "tests.support.misbehaving"
BRISK = {"lease_s": 2.0, "heartbeat_s": 0.5, "sweep_s": 0.2, "shutdown_grace_s": 1.0}  # what takes 10 s takes 2
NO_WAIT = {"max_attempts": 3, "base_s": 0, "cap_s": 0}


class Crew:
    """Starts processes and ends them; accepts events for them."""

    def __init__(self, rt: Runtime, log: Path) -> None:
        self.rt, self._log = rt, log
        self._processes: list[subprocess.Popen[bytes]] = []
        rt.settings = replace(rt.settings, handlers=PLUGIN)
        sync(rt)
        self.acceptor = Acceptor(rt)

    def start(self, module: str, *arguments: str, wait: bool = True) -> subprocess.Popen[bytes]:
        """Start ``python -m module`` and wait until it has signed in."""
        before = set(self.names())
        env = {k: v for k, v in os.environ.items() if not k.startswith("SIGNALBOX_")} | self.rt.settings.to_env()
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments], cwd=ROOT, env=env, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, preexec_fn=dies_with_us(signal.SIGKILL),
            )  # fmt: skip
        self._processes.append(process)
        if wait:
            wait_until(lambda: set(self.names()) - before, 20, f"{module} is up:\n{self.output()}")
        return process

    def worker(self, *arguments: str, wait: bool = True) -> subprocess.Popen[bytes]:
        """A worker process."""
        return self.start("jobs.worker", *arguments, wait=wait)

    def beat(self) -> subprocess.Popen[bytes]:
        """A beat process."""
        return self.start("jobs.beat")

    def keep_up(self, *arguments: str) -> Callable[[], None]:
        """A worker that is to be started again whenever it ended: call the answer now and then."""
        current = [self.worker(*arguments)]

        def look() -> None:
            if current[0].poll() is not None:
                current[0] = self.worker(*arguments, wait=False)

        return look

    def names(self) -> list[str]:
        """Workers that have signed in."""
        with self.rt.db.read() as conn:
            return list(conn.execute(select(t.workers.c.name)).scalars())

    def subscribe(self, handler: str, **fields: Any) -> str:
        """A subscription of events of the handler's own name."""
        fields = {"retry": NO_WAIT} | fields
        return make_subscription(self.rt, handler=handler, pattern=handler, **fields)

    def send(self, type: str, **payload: Any) -> Accepted:
        """Accept an event, as the web does."""
        now = self.rt.clock()
        draft = EventDraft(None, type, "tests", payload, to_text(payload), now - timedelta(seconds=1))
        return self.acceptor.accept(draft, SYSTEM)

    def delivery(self, accepted: Accepted) -> Any:
        """Its one delivery, as it is now."""
        return row_of(self.rt, t.deliveries, accepted.deliveries[0].id)

    def attempts(self, accepted: Accepted) -> list[Any]:
        """Its attempts, in order."""
        found = select(t.attempts).where(t.attempts.c.delivery_id == accepted.deliveries[0].id).order_by(t.attempts.c.n)
        with self.rt.db.read() as conn:
            return list(conn.execute(found))

    def wait_for(
        self, accepted: Accepted, state: str, seconds: float = 15, look: Callable[[], None] | None = None
    ) -> Any:
        """Until its delivery is in that state; answers the row."""

        def is_there() -> bool:
            if look is not None:
                look()
            return bool(self.delivery(accepted).state == state)

        wait_until(is_there, seconds, f"{accepted.uid} is {state}, but: {self.delivery(accepted)}\n{self.output()}")
        return self.delivery(accepted)

    def output(self) -> str:
        """What the processes said."""
        return self._log.read_text()[-6000:] if self._log.exists() else ""

    def stop(self) -> None:
        """End what still runs."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def crew_of(rt: Runtime, home: Path, **changes: Any) -> Iterator[Crew]:
    """A crew on this runtime, brisk unless told otherwise."""
    rt.settings = replace(rt.settings, **(BRISK | changes))
    crew = Crew(rt, home / "crew.log")
    try:
        yield crew
    finally:
        crew.stop()


def marks(path: Path) -> list[str]:
    """What the handlers left in the file."""
    return path.read_text().splitlines() if path.exists() else []
