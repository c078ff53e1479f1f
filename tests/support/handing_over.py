"""Running a connector's attempts as a worker does: on its kind of event loop, with connections that outlive an attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jobs.context import Context, Tools
from jobs.dialing import GuardedLoop
from jobs.handlers import EventHandler, Outcome
from jobs.resources import Resources
from tests.support.attempts import EVENT, Notes
from webapp.domain.events import Event


@dataclass
class Worker:
    """What attempts of one worker share."""

    tools: Tools
    attempts: int = 0

    async def attempt(
        self, handler: EventHandler, event: Event = EVENT, *, delivery_id: str = "dlv_1", many: Sequence[Event] = ()
    ) -> Outcome:
        """One attempt."""
        self.attempts += 1
        ctx = Context(
            delivery_id=delivery_id, event_uid=event.uid, subscription_id="sub_1", attempt=self.attempts,
            deadline=Notes().context().deadline, tools=self.tools,
        )  # fmt: skip
        if many:
            for one in many:
                await handler.check(one, ctx)
            return await handler.handle_batch(many, ctx)
        return await handler.handle(event, ctx)


def work(act: Callable[[Worker], Awaitable[Any]], *, allow_private: bool = True) -> Any:
    """Run it with a worker."""

    async def run() -> Any:
        notes, lent = Notes(allow_private=allow_private), Resources()
        try:
            return await act(Worker(replace(notes.tools(), resources=lent)))
        finally:
            await lent.close()

    with asyncio.Runner(loop_factory=GuardedLoop) as runner:
        return runner.run(run())
