"""The only outgoing HTTP of the hub: time limits, a size cap, no redirects, no proxies, no private addresses.

The address is checked on the socket that is about to be connected, so that neither an IP literal nor a
name that resolves differently the second time (DNS rebinding) gets around it.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

CONNECT_TIMEOUT_S = 5.0  # name look-up, connection and TLS
CONNECTS_AT_ONCE = 256  # thousands would overflow the queue of a server that listens, and time out in it
KEPT_BYTES = 64 * 1024  # of an answer's body are handed to the handler
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"})

# What `ipaddress` calls global, or fails to unwrap, but must not be reached all the same.
_REFUSED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
_PUBLIC_V6 = ipaddress.ip_network("2000::/3")  # all that is routed on the internet; everything else is refused
_REFUSED_V6 = tuple(
    ipaddress.ip_network(text)
    for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")  # Teredo and specials, docs, 6to4, docs
)


class OutboundRefused(Exception):
    """The call was not made: its URL, a header or the address is not allowed."""


class AddressRefused(OSError):
    """Raised inside the connector, where only OSError is understood."""


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

    def __init__(self, *, timeout_s: float, max_bytes: int, allow_private: bool) -> None:
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._allow_private = allow_private
        self._session: aiohttp.ClientSession | None = None

    @property
    def allow_private(self) -> bool:
        """Whether private addresses may be called."""
        return self._allow_private

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """One request, one answer. Raises ``OutboundRefused``, ``TimeoutError`` or ``aiohttp.ClientError``."""
        target = checked_url(url)
        sent = checked_headers(headers or {})
        limit = min(timeout_s or self._timeout_s, self._timeout_s)
        try:
            async with (
                asyncio.timeout(limit),
                self._opened().request(method, target, data=body, headers=sent, allow_redirects=False) as response,
            ):
                kept, truncated = await self._read(response)
                return Answer(response.status, dict(response.headers), kept, truncated)
        except aiohttp.InvalidURL as error:
            raise OutboundRefused(str(error)) from None
        except aiohttp.ClientConnectorError as error:
            refused = _refusal(error)
            if refused is not None:
                raise OutboundRefused(refused) from None
            raise
        except TimeoutError:
            raise TimeoutError(f"no answer from {target.host} within {limit:g} s") from None

    async def get(self, url: str, **more: Any) -> Answer:
        """GET."""
        return await self.request("GET", url, **more)

    async def post(self, url: str, body: bytes, **more: Any) -> Answer:
        """POST."""
        return await self.request("POST", url, body=body, **more)

    async def close(self) -> None:
        """Close what is open."""
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
                headers={"User-Agent": "Signalbox", "Accept-Encoding": "identity"},
                auto_decompress=False,  # a small answer must not unpack to a large one
                trust_env=False,
            )
        return self._session

    async def _read(self, response: aiohttp.ClientResponse) -> tuple[bytes, bool]:
        """Keep the first bytes and read on a little, so that a connection may be used again; cut what is huge."""
        kept, seen = bytearray(), 0
        async for chunk in response.content.iter_chunked(16 * 1024):
            seen += len(chunk)
            if len(kept) < KEPT_BYTES:
                kept += chunk[: KEPT_BYTES - len(kept)]
            if seen > self._max_bytes:
                response.close()
                break
        return bytes(kept), seen > len(kept)

    def _make_socket(self, info: tuple[Any, ...]) -> socket.socket:
        family, kind, proto, _, address = info
        if not self._allow_private and not is_public(address[0]):
            raise AddressRefused(errno.EACCES, f"{address[0]} is not a public address")
        made = socket.socket(family, kind, proto)
        made.setblocking(False)
        return made


def is_public(address: str) -> bool:
    """Whether an address is on the internet. ``ipaddress.is_global`` is not that question."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in _REFUSED)
    return ip in _PUBLIC_V6 and not any(ip in network for network in _REFUSED_V6)


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
