"""``redis_stream``: appends the event to a stream of Redis (XADD), bounded in length if wished."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from jobs.connectors.base import PASSWORD, URL, Connector, NotTaken
from jobs.connectors.envelopes import envelope_of
from jobs.connectors.servers import Server
from jobs.handlers import Context, Event

if TYPE_CHECKING:
    from redis.asyncio import Redis

PORTS = {"redis": (6379, False), "rediss": (6379, True)}
CONNECT_S = 5.0


class RedisStreamHandler(Connector):
    """Append to a Redis stream."""

    name = "redis_stream"
    description = "Appends the event to a stream of Redis, as a CloudEvent."
    ports = PORTS
    options_schema: ClassVar = {
        "type": "object",
        "properties": {
            "url": URL | {"description": "redis://user@host:6379/0, or rediss:// for TLS"},
            "password": PASSWORD,
            "stream": {"type": "string", "minLength": 1, "maxLength": 500, "default": "signalbox:{type}"},
            "max_length": {
                "type": "integer",
                "minimum": 1,
                "description": "Older entries go when there are more than about so many; left out: none goes",
            },
        },
        "required": ["url"],
        "additionalProperties": False,
    }

    async def validate(self, event: Event, ctx: Context) -> None:
        await super().validate(event, ctx)
        _database(self.server())

    async def open(self, server: Server) -> AsyncIterator[Redis]:
        client = client_of(server, timeout_s=CONNECT_S)
        try:
            yield client
        finally:
            await client.aclose()

    async def send(self, client: Redis, event: Event, ctx: Context) -> Mapping[str, Any]:
        from redis.exceptions import ConnectionError as RedisConnectionError
        from redis.exceptions import ResponseError

        stream = self.text("stream", event, "signalbox:{type}")
        fields: Any = {"delivery_id": ctx.delivery_id, "type": event.type, "event": envelope_of(event).body}
        most = self.options.get("max_length")
        try:
            entry: Any = await client.xadd(stream, fields, maxlen=most, approximate=True)
        except RedisConnectionError:
            raise
        except ResponseError as error:
            raise NotTaken(f"Redis refused it: {str(error)[:200]}") from None
        return {"stream": stream, "entry": entry.decode()}


def client_of(server: Server, *, timeout_s: float) -> Redis:
    """A client that connects when it is used, and anew when that connection broke."""
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return Redis(
        host=server.host,
        port=server.hosts[0][1],
        db=_database(server),
        username=server.username or None,
        password=server.password or None,
        ssl=server.is_tls,
        socket_connect_timeout=CONNECT_S,
        socket_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),  # that is for the policy of the subscription
        client_name="signalbox",
    )


def _database(server: Server) -> int:
    if server.path and not (server.path.isascii() and server.path.isdigit()):
        raise ValueError("what follows the host in the url is the number of a database, such as /0")
    return int(server.path or 0)
