"""A loop of handlers by itself: what lands is kept."""

from __future__ import annotations

import queue
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from jobs.flights import Flight, FlightLoop, Landing
from jobs.handlers import Context, Event, EventHandler
from tests.support.attempts import Notes, claimed

Act = Callable[[Context], Awaitable[Any]]


class Air:
    """Runs attempts in a real loop, without a database."""

    def __init__(self, concurrency: int = 1) -> None:
        self._acts: dict[str, Act] = {}
        self._landed: queue.Queue[Landing] = queue.Queue()
        self.extended: list[Flight] = []
        self.loop = FlightLoop(
            find=self._handler, tools=Notes().tools(), roll=lambda: 0.5, land=self._landed.put,
            concurrency=concurrency, look_ahead=0,
        )  # fmt: skip
        self.loop.on_extended = self.extended.append
        self.loop.start()

    def start(self, act: Act, *, timeout_s: float = 30) -> None:
        """Run ``act`` as the handler of a delivery."""
        name = f"t.act-{len(self._acts)}"
        self._acts[name] = act
        self.loop.take([claimed(name, id=f"dlv_{name}", timeout=timedelta(seconds=timeout_s))])

    def landing(self) -> Landing:
        """The next that lands."""
        return self._landed.get(timeout=20)

    def fly(self, act: Act, *, timeout_s: float = 30) -> Landing:
        """Run ``act`` until it has landed."""
        self.start(act, timeout_s=timeout_s)
        return self.landing()

    def _handler(self, handler: str) -> type[EventHandler]:
        act = self._acts[handler]

        class Acts(EventHandler):
            name = handler

            async def process(self, event: Event, ctx: Context) -> Any:
                return await act(ctx)

        return Acts
