"""HTTP/2 for calls that ask for it, where the server offers it (ALPN); else HTTP/1.1 over the same connection.

Its sockets pass the same check of the address as all others: a name is resolved here, once, and what is
connected to is the address that was checked.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable, Mapping
from typing import Any

import httpcore

from jobs.addresses import AddressRefused, is_public

IDLE_S = 15.0
MAX_CONNECTIONS = 256
KEPT = 64  # pools, one per certificate


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were checked. TLS begins later, with the name that was asked for."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """The first address that answers."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise httpcore.ConnectError(str(error)) from None
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        allowed = [one for one in addresses if self._allow_private or is_public(one)]
        if not allowed:
            raise AddressRefused.of(addresses[0])
        for address in allowed[:-1]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError:
                continue
        return await self._inner.connect_tcp(allowed[-1], port, timeout, local_address, socket_options)

    async def connect_unix_socket(self, path: str, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        """Never."""
        raise AddressRefused.of(path)


class Http2:
    """Pools of connections, one per TLS context. For one event loop."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._pools: dict[ssl.SSLContext, httpcore.AsyncConnectionPool] = {}

    def stream(
        self,
        method: str,
        url: str,
        *,
        context: ssl.SSLContext,
        headers: Mapping[str, str],
        body: bytes | None,
        connect_s: float,
    ) -> Any:
        """An answer, as an asynchronous context manager; the caller limits the time of the whole."""
        sent = [(name.encode("ascii"), value.encode("utf-8")) for name, value in headers.items()]
        extensions = {"timeout": {"connect": connect_s, "pool": connect_s}}
        return self._pool(context).stream(method, url, headers=sent, content=body or b"", extensions=extensions)

    async def close(self) -> None:
        """Close what is open."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.aclose()

    def _pool(self, context: ssl.SSLContext) -> httpcore.AsyncConnectionPool:
        if context not in self._pools:
            if len(self._pools) == KEPT:  # of a certificate that was replaced: its idle connections go with it
                del self._pools[next(iter(self._pools))]
            self._pools[context] = httpcore.AsyncConnectionPool(
                ssl_context=context,
                http1=True,
                http2=True,
                max_connections=MAX_CONNECTIONS,
                keepalive_expiry=IDLE_S,
                network_backend=CheckedBackend(allow_private=self._allow_private),
            )
        return self._pools[context]
