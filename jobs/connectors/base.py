"""What the connectors share: a checked address, a connection that the worker lends, and what a failure means.

A message that the broker will not have fails its delivery and nothing else. Whatever else goes wrong is taken for the
fault of the connection: it is dropped, the delivery is tried again by its policy, and that try gets a new one.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any, ClassVar

from jobs.addresses import AddressRefused
from jobs.connectors.servers import Server
from jobs.dialing import check, forbid_private
from jobs.handlers import Context, Discard, Done, Event, EventHandler, Outcome, Retry
from jobs.handlers.base import Permanent
from jobs.outbound import OutboundRefused
from jobs.quoting import fill

SEND_S = 15.0  # until the broker has confirmed it; the subscription's own limit may be shorter
NAME_CHARS = 500
URL: dict[str, Any] = {"type": "string", "maxLength": 2000, "x-sensitive": True}
PASSWORD: dict[str, Any] = {
    "type": "string",
    "maxLength": 2000,
    "x-sensitive": True,
    "description": "Instead of one in the URL, best as {secret.NAME}",
}


class NotTaken(Exception):
    """The broker is there and will not have this message; another try may be luckier."""


class Connector(EventHandler):
    """Base of them. Give it ``ports``, ``open`` and ``send``."""

    ports: ClassVar[Mapping[str, tuple[int, bool]]] = {}  # scheme -> port, whether it is TLS

    def server(self) -> Server:
        """Where it goes. Raises ``ValueError``."""
        return Server.parse(str(self.options["url"]), self.ports, str(self.options.get("password") or ""))

    @abstractmethod
    def open(self, server: Server) -> AsyncIterator[Any]:
        """An async generator that yields a connection once."""
        raise NotImplementedError

    def is_open(self, client: Any) -> bool:
        """Whether it is known to be of use still."""
        return True

    @abstractmethod
    async def send(self, client: Any, event: Event, ctx: Context) -> Mapping[str, Any]:
        """Returns when the broker has it, with what is to be known about that."""
        raise NotImplementedError

    async def validate(self, event: Event, ctx: Context) -> None:
        self.server()

    async def process(self, event: Event, ctx: Context) -> Outcome:
        return await self.over(ctx, lambda client: self.send(client, event, ctx))

    async def over(self, ctx: Context, act: Callable[[Any], Awaitable[Mapping[str, Any]]]) -> Outcome:
        """Do it over the lent connection, and judge how that went."""
        server = self.server()
        key, client = self.key(server), None
        try:
            for host, port in server.hosts:
                await check(host, port, allow_private=ctx.http.allow_private)
            async with asyncio.timeout(SEND_S):
                client = await self._lent(server, ctx)
                return Done(dict(await act(client)))
        except (OutboundRefused, AddressRefused) as error:
            return Discard(f"{server.host}: {getattr(error, 'strerror', None) or error}")
        except NotTaken as error:
            return Retry(reason=f"{server.host}: {error}")
        except Permanent:
            raise
        except Exception as error:  # noqa: BLE001  every client has errors of its own, and none of them is final
            if client is not None:
                ctx.forget(key, client)
            return Retry(reason=f"{server.host}: {in_words(error)}")

    def key(self, server: Server) -> tuple[str, ...]:
        """Names the connection among those of the worker."""
        return (self.name, *server.key())

    def text(self, option: str, event: Event, default: str = "") -> str:
        """An option with what it quotes of the event."""
        return fill(str(self.options.get(option) or default), event)[:NAME_CHARS]

    async def _lent(self, server: Server, ctx: Context) -> Any:
        key = self.key(server)
        factory = partial(self._opened, server, ctx.http.allow_private)
        client = await ctx.resource(factory, key)
        if not self.is_open(client):
            ctx.forget(key, client)
            client = await ctx.resource(factory, key)
        return client

    async def _opened(self, server: Server, allow_private: bool) -> AsyncIterator[Any]:
        if not allow_private:
            forbid_private()
        async for client in self.open(server):
            yield client


def in_words(error: BaseException) -> str:
    """What went wrong, also for errors that say nothing."""
    if isinstance(error, TimeoutError) and not str(error):
        return "no confirmation in time"
    words = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
