"""Clients that handlers share: made once per worker process when first asked for, closed when the worker stops.

A factory is a function without arguments that gives an async context manager, or an async generator function that
yields once. Each lives in a task of its own from its first line to its last, so what must be closed where it was
opened (task groups, cancel scopes) is; an attempt that is cut off while it waits does not spoil it for others.
A client that depends on options has a key, one client per key; one that broke is forgotten, so that the next who
asks gets another.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

log = logging.getLogger(__name__)

Factory = Callable[[], AbstractAsyncContextManager[Any]] | Callable[[], AsyncIterator[Any]]
CLOSE_S = 3.0
KEPT = 100  # with a key; beyond that the one that was not asked for the longest is closed


@dataclass(slots=True, eq=False)
class _Lent:
    """A client, or the one that is being made, and whether its time is over."""

    made: asyncio.Future[Any]
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def is_it(self, resource: Any) -> bool:
        return self.made.done() and self.made.exception() is None and self.made.result() is resource


class Resources:
    """Of one event loop."""

    def __init__(self) -> None:
        self._lent: OrderedDict[Hashable, _Lent] = OrderedDict()
        self._lives: set[asyncio.Task[None]] = set()

    async def get(self, factory: Factory, key: Hashable = None) -> Any:
        """What the factory gives, the same for everybody. What it raises is raised here; the next call tries anew.

        With a ``key``, the same for everybody who gives that key.
        """
        name = factory if key is None else key
        lent = self._lent.get(name)
        if lent is None:
            loop = asyncio.get_running_loop()
            lent = self._lent[name] = _Lent(loop.create_future())
            life = loop.create_task(self._live(name, factory, lent))
            self._lives.add(life)
            life.add_done_callback(self._lives.discard)
        if key is not None:
            self._lent.move_to_end(name)
            self._close_oldest()
        return await asyncio.shield(lent.made)

    def forget(self, key: Hashable, resource: Any) -> None:
        """It is broken: close it, unless it was replaced already. The next who asks for ``key`` gets another."""
        lent = self._lent.get(key)
        if lent is not None and lent.is_it(resource):
            del self._lent[key]
            lent.over.set()

    async def close(self) -> None:
        """Let every factory go on after its yield, and wait for them a moment."""
        for lent in self._lent.values():
            lent.over.set()
        if self._lives:
            _, late = await asyncio.wait(self._lives, timeout=CLOSE_S)
            for life in late:
                life.cancel()
        self._lent.clear()

    def _close_oldest(self) -> None:
        keyed = [name for name in self._lent if not callable(name)]
        for name in keyed[: max(0, len(keyed) - KEPT)]:
            self._lent.pop(name).over.set()

    async def _live(self, name: Hashable, factory: Factory, lent: _Lent) -> None:
        try:
            async with _manager_of(factory) as resource:
                lent.made.set_result(resource)
                await lent.over.wait()
        except Exception as error:
            if not lent.made.done():
                if self._lent.get(name) is lent:
                    del self._lent[name]
                lent.made.set_exception(error)
                lent.made.exception()  # whoever asked may be gone: nobody is to be told of an error that was not fetched
            else:
                what = getattr(factory, "__qualname__", None) or type(lent.made.result()).__name__
                log.warning("%s could not be closed", what, exc_info=True, extra={"action": "resource_close_failed"})


def _manager_of(factory: Factory) -> AbstractAsyncContextManager[Any]:
    if inspect.isasyncgenfunction(factory):
        return asynccontextmanager(factory)()
    made = factory()
    if not isinstance(made, AbstractAsyncContextManager):
        raise TypeError(f"{getattr(factory, '__qualname__', factory)} gives no async context manager")
    return made
