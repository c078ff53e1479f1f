"""Connections for protocols other than HTTP: to an address that was checked, and within a time limit.

The address that is checked is the one that is connected to, so a name that resolves differently the second time
(DNS rebinding) gets nobody around the check.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

from jobs.outbound import CONNECT_TIMEOUT_S, OutboundRefused, is_public


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
