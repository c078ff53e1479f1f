"""Clients that handlers share: made once per worker process when first asked for, closed when the worker stops.

A factory is a function without arguments that gives an async context manager, or an async generator function that
yields once. Each lives in a task of its own from its first line to its last, so what must be closed where it was
opened (task groups, cancel scopes) is; an attempt that is cut off while it waits does not spoil it for others.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

log = logging.getLogger(__name__)

Factory = Callable[[], AbstractAsyncContextManager[Any]] | Callable[[], AsyncIterator[Any]]
CLOSE_S = 3.0


class Resources:
    """Of one event loop."""

    def __init__(self) -> None:
        self._made: dict[Factory, asyncio.Future[Any]] = {}
        self._lives: set[asyncio.Task[None]] = set()
        self._over: asyncio.Event | None = None

    async def get(self, factory: Factory) -> Any:
        """What the factory gives, the same for everybody. What it raises is raised here; the next call tries anew."""
        made = self._made.get(factory)
        if made is None:
            loop = asyncio.get_running_loop()
            self._over = self._over or asyncio.Event()
            made = self._made[factory] = loop.create_future()
            life = loop.create_task(self._live(factory, made, self._over))
            self._lives.add(life)
            life.add_done_callback(self._lives.discard)
        return await asyncio.shield(made)

    async def close(self) -> None:
        """Let every factory go on after its yield, and wait for them a moment."""
        if self._over is not None:
            self._over.set()
        if self._lives:
            _, late = await asyncio.wait(self._lives, timeout=CLOSE_S)
            for life in late:
                life.cancel()
        self._made.clear()
        self._over = None

    async def _live(self, factory: Factory, made: asyncio.Future[Any], over: asyncio.Event) -> None:
        name = getattr(factory, "__qualname__", repr(factory))
        try:
            async with _manager_of(factory) as resource:
                made.set_result(resource)
                await over.wait()
        except Exception as error:
            if not made.done():
                self._made.pop(factory, None)
                made.set_exception(error)
                made.exception()  # whoever asked may be gone: nobody is to be told of an error that was not fetched
            else:
                log.exception("%s could not be closed", name, extra={"action": "resource_close_failed"})


def _manager_of(factory: Factory) -> AbstractAsyncContextManager[Any]:
    if inspect.isasyncgenfunction(factory):
        return asynccontextmanager(factory)()
    made = factory()
    if not isinstance(made, AbstractAsyncContextManager):
        raise TypeError(f"{getattr(factory, '__qualname__', factory)} gives no async context manager")
    return made
