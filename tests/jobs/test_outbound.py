"""Outgoing HTTP: what may be called, and what a hostile receiver can do to us (little)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from jobs.outbound import KEPT_BYTES, Answer, Outbound, OutboundRefused, checked_headers, checked_url, is_public

PRIVATE = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "192.0.0.8", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.7", "203.0.113.9",
    "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "2001:db8::1", "3fff::1", "5f00::1",
    "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "100::1", "not an address",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("address", PRIVATE)
def test_address_is_refused_when_it_is_not_on_the_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_address_is_allowed_when_it_is_on_the_internet(address: str) -> None:
    assert is_public(address)


def ask(
    url: str, *, allow_private: bool = False, timeout_s: float = 3, max_bytes: int = 1_048_576, **more: Any
) -> Answer:
    async def once() -> Answer:
        http = Outbound(timeout_s=timeout_s, max_bytes=max_bytes, allow_private=allow_private)
        try:
            return await http.post(url, b"{}", **more)
        finally:
            await http.close()

    return asyncio.run(once())


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "0",
        "[::ffff:7f00:1]",
        "169.254.169.254",
        "10.0.0.1",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
    ],
)
def test_private_host_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises(OutboundRefused, match=r"not a public address|not a canonical IPv4 address"):
        ask(f"http://{host}:9/")


@pytest.mark.parametrize(
    "url",
    ["ftp://example.com/", "file:///etc/passwd", "gopher://x/", "//example.com", "http://", "nonsense", "http://[::1"],
)
def test_url_is_refused_when_it_is_not_http(url: str) -> None:
    with pytest.raises(OutboundRefused):
        checked_url(url)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "b\r\nX-C: d"),
        ("X-A", "b\n"),
        ("X-A\r\nHost", "b"),
        ("Host", "x"),
        ("content-length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("Proxy-Authorization", "x"),
        ("", "x"),
        ("X-A", "\x00"),
        ("X A", "b"),
        ("X-A", 5),
        (5, "b"),
    ],
)
def test_header_is_refused_when_it_could_smuggle(name: Any, value: Any) -> None:
    with pytest.raises(OutboundRefused):
        checked_headers({name: value})


def test_ordinary_headers_are_allowed() -> None:
    assert checked_headers({"Authorization": "Bearer x", "X-Tab": "a\tb"}) == {
        "Authorization": "Bearer x",
        "X-Tab": "a\tb",
    }


# A receiver that misbehaves

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def receiver(serve: Serve) -> AsyncIterator[str]:
    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


def call(serve: Serve, **options: Any) -> Answer:
    async def once() -> Answer:
        http = Outbound(**{"timeout_s": 3, "max_bytes": 100_000, "allow_private": True} | options)
        try:
            async with receiver(serve) as url:
                return await http.post(url, b"{}")
        finally:
            await http.close()

    return asyncio.run(once())


def sends(*chunks: bytes, pause: float = 0) -> Serve:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(pause)

    return serve


def test_answer_is_given_as_it_is() -> None:
    answer = call(sends(b"HTTP/1.1 201 Created\r\nX-A: b\r\nContent-Length: 2\r\n\r\nok"))
    assert (answer.status, answer.headers["X-A"], answer.text(), answer.truncated) == (201, "b", "ok", False)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_is_not_followed(status: int) -> None:
    answer = call(sends(b"HTTP/1.1 %d X\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n" % status))
    assert answer.status == status


def test_endless_body_is_cut() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    answer = call(serve)
    assert (len(answer.body), answer.truncated) == (KEPT_BYTES, True)


def test_packed_body_is_not_unpacked() -> None:
    import gzip

    packed = gzip.compress(b"x" * 1_000_000)
    answer = call(
        sends(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed), packed)
    )
    assert answer.body == packed


@pytest.mark.parametrize(
    "serve",
    [
        sends(b"", pause=30),  # never answers
        sends(b"HTTP/1.1 200 OK\r\n", *[b"X-A: b\r\n"] * 100, pause=0.3),  # drips
        sends(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", *[b"x"] * 100, pause=0.3),
    ],
)
def test_slow_receiver_is_given_up_after_the_time_limit(serve: Serve) -> None:
    with pytest.raises(TimeoutError, match=r"no answer from 127\.0\.0\.1 within 0\.5 s"):
        call(serve, timeout_s=0.5)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000,
    ],
)
def test_broken_answer_is_an_error(raw: bytes) -> None:
    with pytest.raises(aiohttp.ClientError):
        call(sends(raw))


def test_closed_port_is_an_error() -> None:
    with pytest.raises(aiohttp.ClientConnectorError):
        ask("http://127.0.0.1:9/", allow_private=True)
