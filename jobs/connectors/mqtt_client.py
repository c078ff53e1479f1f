"""The MQTT client with what aiomqtt leaves out: acknowledging by hand, refusals of a publish, and checked addresses.

It reaches below aiomqtt in three places, each of which a test would miss at once (docs/adr has the reasons).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from jobs.addresses import AddressRefused, is_public
from jobs.connectors.base import NotTaken
from jobs.connectors.servers import Server
from jobs.dialing import is_private_forbidden

TIMEOUT_S = 5.0
SESSION_S = 7 * 86_400  # a session that is kept waits this long for its client


class MqttClient(aiomqtt.Client):
    """A connection over MQTT 5. With ``by_hand``, what comes is acknowledged by ``acknowledge`` only."""

    def __init__(self, server: Server, *, by_hand: bool = False, **options: Any) -> None:
        super().__init__(
            server.host,
            server.hosts[0][1],
            username=server.username or None,
            password=server.password or None,
            protocol=aiomqtt.ProtocolVersion.V5,
            tls_context=server.context(),
            timeout=TIMEOUT_S,
            **options,
        )
        self._refused: dict[int, str] = {}
        self._client.manual_ack_set(by_hand)
        if is_private_forbidden():
            self._client._create_socket_connection = self._connect_publicly  # type: ignore[method-assign]

    @property
    def is_connected(self) -> bool:
        return not self._disconnected.done()

    @property
    def queue(self) -> asyncio.Queue[aiomqtt.Message]:
        """What came."""
        return self._queue

    @property
    def lost(self) -> asyncio.Future[None]:
        """Done when the connection is."""
        return self._disconnected

    def acknowledge(self, message: aiomqtt.Message) -> None:
        """It needs not come again."""
        self._client.ack(message.mid, message.qos)

    def _connect_publicly(self) -> socket.socket:
        """Runs in a thread, where the event loop cannot hold it to public addresses."""
        found = socket.getaddrinfo(self._hostname, self._port, type=socket.SOCK_STREAM)
        addresses = [str(one[4][0]) for one in found]
        allowed = [address for address in addresses if is_public(address)]
        if not allowed:
            raise AddressRefused.of(addresses[0])
        return socket.create_connection((allowed[0], self._port), timeout=TIMEOUT_S)

    def _on_publish(self, client: Any, userdata: Any, mid: int, reason_code: Any, properties: Any) -> None:
        if reason_code.is_failure:
            self._refused[mid] = str(reason_code)
        super()._on_publish(client, userdata, mid, reason_code, properties)

    @contextmanager
    def _pending_call(self, mid: int, value: Any, pending_dict: dict[int, Any]) -> Iterator[None]:
        with super()._pending_call(mid, value, pending_dict):
            yield
        if reason := self._refused.pop(mid, None):
            raise NotTaken(f"the broker refused the message: {reason}")


@asynccontextmanager
async def client_of(
    server: Server, *, identifier: str | None = None, by_hand: bool = False
) -> AsyncIterator[MqttClient]:
    """Connected. With an ``identifier`` the broker keeps its session while it is away."""
    options: dict[str, Any] = {}
    if identifier is not None:
        properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_S
        options = {"identifier": identifier, "clean_start": False, "properties": properties}
    client = MqttClient(server, by_hand=by_hand, **options)
    await client.__aenter__()
    try:
        yield client
    finally:
        with suppress(aiomqtt.MqttError):  # it is gone already
            await client.__aexit__(None, None, None)
