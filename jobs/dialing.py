"""Connections for protocols other than HTTP: to an address that was checked, and within a time limit.

The address that is checked is the one that is connected to, so a name that resolves differently the second time
(DNS rebinding) gets nobody around the check. Clients that connect by themselves, and to what their servers name to
them (the brokers of a Kafka cluster), are held to it by the event loop they run on.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from jobs.addresses import AddressRefused
from jobs.outbound import CONNECT_TIMEOUT_S, OutboundRefused, is_public

_only_public: ContextVar[bool] = ContextVar("only_public", default=False)


class GuardedLoop(asyncio.SelectorEventLoop):
    """An event loop on which tasks that said ``forbid_private`` reach public addresses alone."""

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        if _only_public.get() and sock.family != socket.AF_UNIX and not is_public(str(address[0])):
            raise AddressRefused.of(str(address[0]))
        await super().sock_connect(sock, address)


def forbid_private() -> None:
    """From here on this task, and what it starts, connects to public addresses only."""
    if not isinstance(asyncio.get_running_loop(), GuardedLoop):
        raise OutboundRefused("connections cannot be checked here: this is not the event loop of a worker")
    _only_public.set(True)


def is_private_forbidden() -> bool:
    """Whether this task said so: for clients that connect from a thread."""
    return _only_public.get()


async def check(host: str, port: int, *, allow_private: bool) -> str:
    """One of its addresses that may be reached. Raises ``OutboundRefused``, or ``OSError`` when the name has none."""
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(one[4][0]) for one in found]
    allowed = [one for one in addresses if allow_private or is_public(one)]
    if not allowed:
        raise OutboundRefused(f"{addresses[0]} is not a public address")
    return allowed[0]


async def dial(host: str, port: int, *, allow_private: bool, timeout_s: float = CONNECT_TIMEOUT_S) -> socket.socket:
    """A connected, non-blocking TCP socket. Raises ``OutboundRefused``, or ``OSError`` when nobody answers."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout_s):
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        allowed = [one for one in found if allow_private or is_public(str(one[4][0]))]
        if not allowed:
            raise OutboundRefused(f"{found[0][4][0]} is not a public address")
        return await _first_that_answers(loop, allowed)


async def _first_that_answers(loop: asyncio.AbstractEventLoop, addresses: Sequence[tuple[Any, ...]]) -> socket.socket:
    trouble: OSError | None = None
    for family, kind, proto, _, address in addresses:
        made = socket.socket(family, kind, proto)
        made.setblocking(False)
        try:
            await loop.sock_connect(made, address)
        except OSError as error:
            made.close()
            trouble = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise trouble or OSError("no address")
