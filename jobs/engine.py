"""What one worker process is made of: the handlers' loop, the recorder, the keeper and the watchdog.

Built in the process that uses it, after any fork. A delivery is owned from its claim until it is recorded,
and at every moment exactly one of these parts answers for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from jobs.context import Context, Tools
from jobs.flights import FlightLoop, Landing
from jobs.keeper import Keeper
from jobs.options import SecretBook
from jobs.outbound import Outbound
from jobs.publishing import Publisher
from jobs.recorder import Recorder
from jobs.registry import Registry
from jobs.resources import CLOSE_S, Resources
from jobs.watchdog import Watchdog
from webapp.domain.errors import HubError
from webapp.domain.state import Stored
from webapp.runtime import Runtime
from webapp.services import record, secrets, states
from webapp.services.gone import pause_for_receiver
from webapp.services.notify import notify
from webapp.services.presence import Presence
from webapp.store.deliveries import Claimed

log = logging.getLogger(__name__)

HELPER_THREADS = 32  # of handlers: name look-ups, to_thread, notifications
FLUSH_S = 3.0


class Engine:
    """Takes claimed deliveries, runs them and records what came of them."""

    def __init__(
        self,
        rt: Runtime,
        registry: Registry,
        owner: str,
        *,
        me: Presence | None = None,
        concurrency: int | None = None,
    ) -> None:
        settings = rt.settings
        self.rt, self.owner = rt, owner
        self.stopping = False
        self._door, self._is_closed = threading.Lock(), False  # closed: nothing is taken any more
        self.gates_at = 0.0  # monotonic: drains do not look at the gates before
        self.http = Outbound(
            timeout_s=settings.outbound_timeout_s,
            max_bytes=settings.outbound_max_bytes,
            allow_private=settings.allow_private_addresses,
            credentials_dir=Path(settings.credentials_dir) if settings.credentials_dir else None,
        )
        self.resources = Resources()
        tools = Tools(
            http=self.http,
            notify=self._notify,
            clock=rt.clock,
            touched=self._touched,
            read_state=self._read_state,
            read_secrets=SecretBook(self._read_secrets).values,
            publish=Publisher(rt).publish,
            pause=self._pause,
            resources=self.resources,
            commands=settings.allowed_commands,
        )
        self.flights = FlightLoop(
            find=registry.get,
            tools=tools,
            roll=rt.roll,
            land=self._land,
            concurrency=concurrency or settings.concurrency,
            look_ahead=2 * settings.claim_batch,
        )
        self.flights.loop.set_default_executor(ThreadPoolExecutor(HELPER_THREADS, "handler-helper"))
        turn = threading.Lock()
        self.recorder = Recorder(rt, owner, self.flights.forget, turn)
        self.keeper = Keeper(rt, self.flights, owner, me, turn)
        self.keeper.finished = lambda: self.recorder.finished
        self.watchdog = Watchdog(rt, self.flights, self._land, self.give_back)

    def start(self) -> None:
        """Start the threads."""
        for part in (self.flights, self.recorder, self.keeper, self.watchdog):
            part.start()

    def take(self, batch: Sequence[Claimed]) -> None:
        """Run these. What was claimed while this engine gave everything back goes the same way."""
        with self._door:
            if not self._is_closed:
                self.flights.take(batch)
                return
        self._release(batch)

    def stop(self, grace_s: float) -> None:
        """Let running handlers end within the grace, give the rest back uncounted, stop the threads."""
        self.stopping = True
        self.flights.wait_until_empty(grace_s)
        self.give_back()
        self.watchdog.stop()
        self.keeper.stop()
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self.http.close(), self.flights.loop).result(timeout=1)
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self.resources.close(), self.flights.loop).result(timeout=2 * CLOSE_S)
        self.flights.stop()

    def give_back(self) -> None:
        """Record what is over, release the rest: it is run elsewhere and this try does not count."""
        self.recorder.stop(FLUSH_S)
        with self._door:
            self._is_closed = True
            left = list(self.flights.owned.values())
        if left:
            self.flights.drop([claimed.id for claimed in left])
            self._release(left)

    def _release(self, left: Sequence[Claimed]) -> None:
        try:
            given = record.release(self.rt, [claimed.id for claimed in left], self.owner)
        except HubError as error:
            log.warning("deliveries could not be given back, their leases will run out: %s", error)
            return
        log.info("%d deliveries given back", len(given), extra={"action": "deliveries_released"})
        for lane in {claimed.lane for claimed in left}:
            self.rt.queue.ring(lane)

    def _land(self, landing: Landing) -> None:
        self.recorder.land(landing)

    def _touched(self, ctx: Context) -> None:
        self.recorder.touched(ctx)

    async def _read_state(self, subscription_id: str, key: str) -> Stored | None:
        return await asyncio.get_running_loop().run_in_executor(None, states.read_one, self.rt, subscription_id, key)

    async def _read_secrets(self, names: Collection[str]) -> dict[str, str]:
        return await asyncio.get_running_loop().run_in_executor(None, secrets.read_values, self.rt, names)

    async def _pause(self, subscription_id: str, reason: str) -> bool:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, pause_for_receiver, self.rt, subscription_id, reason)

    async def _notify(self, severity: str, title: str, body: str, **more: Any) -> str:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, partial(notify, self.rt, severity, title, body, **more))  # type: ignore[arg-type]
