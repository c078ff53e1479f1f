"""The only outgoing HTTP of the hub: time limits, size caps, no redirects, no proxies, no private addresses.

The address is checked on the socket that is about to be connected, so that neither an IP literal nor a
name that resolves differently the second time (DNS rebinding) gets around it.
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import ssl
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import httpcore
from yarl import URL

from jobs.addresses import AddressRefused
from jobs.addresses import is_public as is_public
from jobs.http2 import Http2
from jobs.tls import Tls, TlsContexts

CONNECT_TIMEOUT_S = 5.0  # name look-up, connection and TLS
CONNECTS_AT_ONCE = 256  # thousands would overflow the queue of a server that listens, and time out in it
KEPT_BYTES = 64 * 1024  # of an answer's body are handed to the handler
MAX_SENT_BYTES = 8 * 1024 * 1024
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"})
_OTHER_PROTOCOLS = frozenset({21, 22, 23, 25, 53, 110, 119, 139, 143, 445, 465, 587, 636, 993, 995, *range(6665, 6670)})
_DEFAULTS = {"User-Agent": "Signalbox", "Accept-Encoding": "identity"}


class OutboundRefused(Exception):
    """The call was not made: its URL, a header or the address is not allowed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``body`` is its beginning; ``truncated`` says that there was more."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool

    def text(self, limit: int = KEPT_BYTES) -> str:
        """The beginning of the body as text."""
        return self.body[:limit].decode("utf-8", "replace")


class _Connector(aiohttp.TCPConnector):
    """Opens so many connections at a time; how many are open then is not limited here."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._turns = asyncio.Semaphore(CONNECTS_AT_ONCE)

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
        async with self._turns, asyncio.timeout(CONNECT_TIMEOUT_S):
            return await super()._create_connection(req, traces, timeout)


class Outbound:
    """An HTTP client for handlers, one per event loop. Made lazily: aiohttp wants a running loop."""

    def __init__(
        self, *, timeout_s: float, max_bytes: int, allow_private: bool, credentials_dir: Path | None = None
    ) -> None:
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self.allow_private = allow_private
        self._session: aiohttp.ClientSession | None = None
        self._http2 = Http2(allow_private=allow_private)
        self._contexts = TlsContexts(credentials_dir)

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        tls: Tls | None = None,
        http2: bool = False,
    ) -> Answer:
        """One request, one answer. Raises ``OutboundRefused``, ``TimeoutError`` or ``aiohttp.ClientError``."""
        target, sent = checked_url(url), checked_headers(headers or {})
        if body is not None and len(body) > MAX_SENT_BYTES:
            raise OutboundRefused(f"the body has {len(body)} bytes, {MAX_SENT_BYTES} may be sent")
        limit = min(timeout_s or self._timeout_s, self._timeout_s)
        over = self._over_http2 if http2 and target.scheme == "https" else self._over_http1
        try:
            async with asyncio.timeout(limit):
                return await over(method, target, body, sent, tls)
        except AddressRefused as error:
            raise OutboundRefused(str(error.strerror)) from None
        except aiohttp.InvalidURL as error:
            raise OutboundRefused(str(error)) from None
        except aiohttp.ClientConnectorError as error:
            refused = _refusal(error)
            if refused is not None:
                raise OutboundRefused(refused) from None
            raise
        except (TimeoutError, httpcore.TimeoutException):
            raise TimeoutError(f"no answer from {target.host} within {limit:g} s") from None
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise aiohttp.ClientConnectionError(str(error) or type(error).__name__) from error

    async def _over_http1(
        self, method: str, target: URL, body: bytes | None, headers: dict[str, str], tls: Tls | None
    ) -> Answer:
        context: ssl.SSLContext | bool = True if tls is None else self._context(tls)
        calling = self._opened().request(method, target, data=body, headers=headers, allow_redirects=False, ssl=context)
        async with calling as response:
            kept, truncated = await self._read(response.content.iter_chunked(16 * 1024))
            return Answer(response.status, dict(response.headers), kept, truncated)

    async def _over_http2(
        self, method: str, target: URL, body: bytes | None, headers: dict[str, str], tls: Tls | None
    ) -> Answer:
        calling = self._http2.stream(
            method,
            str(target),
            context=self._context(tls or Tls(), http2=True),
            headers=_DEFAULTS | headers,
            body=body,
            connect_s=CONNECT_TIMEOUT_S,
        )
        async with calling as response:
            kept, truncated = await self._read(response.aiter_stream())
            got = {name.decode("latin-1"): value.decode("latin-1") for name, value in response.headers}
            return Answer(response.status, got, kept, truncated)

    def _context(self, tls: Tls, *, http2: bool = False) -> ssl.SSLContext:
        try:
            return self._contexts.context(tls, http2=http2)
        except ValueError as error:
            raise OutboundRefused(str(error)) from None

    async def get(self, url: str, **more: Any) -> Answer:
        """GET."""
        return await self.request("GET", url, **more)

    async def post(self, url: str, body: bytes, **more: Any) -> Answer:
        """POST."""
        return await self.request("POST", url, body=body, **more)

    async def close(self) -> None:
        """Close what is open."""
        await self._http2.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=_Connector(
                    limit=0,  # the worker's concurrency is the limit
                    socket_factory=self._make_socket,
                    use_dns_cache=False,
                ),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_DEFAULTS,
                auto_decompress=False,  # a small answer must not unpack to a large one
                trust_env=False,
            )
        return self._session

    async def _read(self, chunks: AsyncIterable[bytes]) -> tuple[bytes, bool]:
        """Keep the first bytes and read on a little, so that a connection may be used again; leave what is huge."""
        kept, seen = bytearray(), 0
        async for chunk in chunks:
            seen += len(chunk)
            if len(kept) < KEPT_BYTES:
                kept += chunk[: KEPT_BYTES - len(kept)]
            if seen > self._max_bytes:
                break
        return bytes(kept), seen > len(kept)

    def _make_socket(self, info: tuple[Any, ...]) -> socket.socket:
        family, kind, proto, _, address = info
        if not self.allow_private and not is_public(address[0]):
            raise AddressRefused.of(address[0])
        made = socket.socket(family, kind, proto)
        made.setblocking(False)
        return made


def checked_url(url: str) -> URL:
    """The URL, if it is one that may be called."""
    try:
        target = URL(url)
    except (ValueError, TypeError) as error:
        raise OutboundRefused(f"not a URL: {error}") from None
    if target.scheme not in ("http", "https"):
        raise OutboundRefused("only http and https URLs can be called")
    if not target.host:
        raise OutboundRefused("the URL names no host")
    if target.raw_user is not None or target.raw_password is not None:
        raise OutboundRefused("the URL holds a user or password: it would show in logs; use the option for it")
    if target.port in _OTHER_PROTOCOLS:
        raise OutboundRefused(f"port {target.port} is not one of HTTP")
    return target


def checked_headers(headers: Mapping[Any, Any]) -> dict[str, str]:
    """The headers, if none of them could smuggle a second request or is ours to set."""
    for name, value in headers.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise OutboundRefused(f"{name!r} is not a header name")
        if name.lower() in _OURS or name.lower().startswith("proxy-"):
            raise OutboundRefused(f"the header {name} is set by the hub")
        if not isinstance(value, str) or any((ch < " " and ch != "\t") or ch == "\x7f" for ch in value):
            raise OutboundRefused(f"the value of header {name} has control characters")
    return dict(headers)


def _refusal(error: BaseException | None) -> str | None:
    """The refusal behind a connector's error, which may have been folded together with others."""
    os_error = getattr(error, "os_error", None)
    if isinstance(os_error, AddressRefused):
        return os_error.strerror
    if isinstance(os_error, OSError) and os_error.errno == errno.EACCES and "not a public address" in str(os_error):
        return str(os_error.strerror or os_error)
    return None
