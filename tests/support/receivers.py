"""Receivers of outgoing calls: a real HTTP or HTTPS server that keeps what came, and one that speaks HTTP/2."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
from aiohttp import web


@dataclass
class Receiver:
    """Where it listens, and what came."""

    url: str = ""
    seen: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)  # method, headers, body
    peers: set[Any] = field(default_factory=set)  # connections
    certificates: list[Any] = field(default_factory=list)  # that callers showed


@contextlib.asynccontextmanager
async def receiver(
    context: ssl.SSLContext | None = None, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Receiver]:
    """Answers everything so, on 127.0.0.1."""
    found = Receiver()

    async def receive(request: web.Request) -> web.Response:
        found.seen.append((request.method, dict(request.headers), await request.read()))
        assert request.transport is not None
        found.peers.add(request.transport.get_extra_info("peername"))
        if (link := request.transport.get_extra_info("ssl_object")) is not None:
            found.certificates.append(link.getpeercert())
        return web.Response(status=status, text="thanks", headers=headers)

    app = web.Application()
    app.router.add_route("*", "/hook", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    found.url = f"http{'s' if context else ''}://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield found
    finally:
        await runner.cleanup()


def server_context(certificate: Path, key: Path, *, trusted: Path | None = None, alpn: str = "") -> ssl.SSLContext:
    """TLS of a server; with ``trusted``, callers must show a certificate that it signed."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    if trusted is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(trusted)
    if alpn:
        context.set_alpn_protocols([alpn])
    return context


@contextlib.asynccontextmanager
async def http2_receiver(context: ssl.SSLContext) -> AsyncIterator[Receiver]:
    """Speaks nothing but HTTP/2."""
    found = Receiver()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.peers.add(writer.get_extra_info("peername"))
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await _speak(reader, writer, found)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    found.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield found
    finally:
        server.close()


async def _speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, found: Receiver) -> None:
    link = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
    link.initiate_connection()
    writer.write(link.data_to_send())
    open_: dict[int, tuple[dict[str, str], bytearray]] = {}
    while data := await reader.read(65536):
        for event in link.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                open_[event.stream_id] = (dict(event.headers), bytearray())  # type: ignore[arg-type]
            elif isinstance(event, h2.events.DataReceived):
                open_[event.stream_id][1].extend(event.data)
                link.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                headers, body = open_.pop(event.stream_id)
                found.seen.append((headers[":method"], headers, bytes(body)))
                link.send_headers(event.stream_id, [(":status", "200"), ("x-served", "h2")])
                link.send_data(event.stream_id, b"thanks", end_stream=True)
        writer.write(link.data_to_send())
        await writer.drain()
