"""``s3``: stores events as objects in an S3-compatible bucket: one JSON document each, or one NDJSON object per batch.

The key follows from the event and the delivery, so a try that is made again overwrites its own object.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from jobs.connectors.base import PASSWORD, SEND_S, Connector, NotTaken
from jobs.connectors.envelopes import envelope_of
from jobs.connectors.servers import Server
from jobs.dialing import is_private_forbidden
from jobs.handlers import Context, Event, Invalid, Outcome
from jobs.quoting import fill
from webapp.domain.cloudevents import STRUCTURED

if TYPE_CHECKING:
    from minio import Minio

PORTS = {"http": (80, False), "https": (443, True)}
KEY = "{type}/{delivery_id}"
KEY_BYTES = 1024
NDJSON = "application/x-ndjson"
DELIVERY = "{delivery_id}"


class S3Handler(Connector):
    """Store in S3."""

    name = "s3"
    description = "Stores events as objects in an S3-compatible bucket, a batch as one NDJSON object."
    ports = PORTS
    options_schema: ClassVar = {
        "type": "object",
        "properties": {
            "url": {"type": "string", "maxLength": 2000, "description": "The endpoint, such as https://s3.eu-central-1.amazonaws.com"},
            "bucket": {"type": "string", "minLength": 3, "maxLength": 63},
            "region": {"type": "string", "maxLength": 64, "default": "us-east-1"},
            "access_key": {"type": "string", "maxLength": 200},
            "password": PASSWORD | {"description": "The secret key, best as {secret.NAME}"},
            "key": {
                "type": "string",
                "maxLength": 500,
                "default": KEY,
                "description": "Such as {type}/{data.day}/{uid}.json; {delivery_id} differs with every delivery",
            },
        },
        "required": ["url", "bucket"],
        "additionalProperties": False,
    }  # fmt: skip

    async def validate(self, event: Event, ctx: Context) -> None:
        await super().validate(event, ctx)
        if self.server().path or self.server().username:
            raise Invalid("url is the endpoint alone: bucket and keys have options of their own")
        if bool(self.options.get("access_key")) != bool(self.options.get("password")):
            raise Invalid("give access_key and password, or neither for a bucket that is open to all")
        self._key(event, ctx, many=False)

    def key(self, server: Server) -> tuple[str, ...]:
        return (*super().key(server), str(self.options.get("access_key", "")), str(self.options.get("region", "")))

    async def open(self, server: Server) -> AsyncIterator[Minio]:
        from minio import Minio

        from jobs.connectors.s3_pool import pool_of

        pool = pool_of(only_public=is_private_forbidden(), timeout_s=SEND_S)
        yield Minio(
            server.places[0],
            access_key=str(self.options.get("access_key") or "") or None,
            secret_key=server.password or None,
            secure=server.is_tls,
            region=str(self.options.get("region") or "us-east-1"),
            http_client=pool,
        )
        pool.clear()

    async def send(self, client: Minio, event: Event, ctx: Context) -> Mapping[str, Any]:
        return await self._put(client, self._key(event, ctx, many=False), envelope_of(event).body, STRUCTURED, ctx)

    async def process_batch(self, events: Sequence[Event], ctx: Context) -> Outcome:
        lines = b"".join(envelope_of(event).body + b"\n" for event in events)
        key = self._key(events[0], ctx, many=True)
        return await self.over(ctx, lambda client: self._put(client, key, lines, NDJSON, ctx))

    async def _put(self, client: Minio, key: str, body: bytes, content_type: str, ctx: Context) -> Mapping[str, Any]:
        from minio.error import S3Error

        bucket = str(self.options["bucket"])
        metadata: Any = {"delivery-id": ctx.delivery_id}
        try:
            done = await asyncio.to_thread(
                client.put_object, bucket, key, io.BytesIO(body), len(body), content_type, metadata
            )
        except S3Error as error:
            raise NotTaken(f"{error.code}: {str(error.message)[:200]}") from None
        except ValueError as error:
            raise Invalid(str(error)) from None
        return {"bucket": bucket, "key": key, "etag": done.etag, "bytes": len(body)}

    def _key(self, event: Event, ctx: Context, *, many: bool) -> str:
        template = str(self.options.get("key") or KEY)
        if template == KEY:
            template += ".ndjson" if many else ".json"
        elif many and DELIVERY not in template:  # two batches that begin with the same event must not share a key
            stem, dot, extension = template.rpartition(".")
            template = f"{stem}-{DELIVERY}.{extension}" if dot and "/" not in extension else f"{template}-{DELIVERY}"
        key = fill(template.replace(DELIVERY, ctx.delivery_id), event, _segment).lstrip("/")
        if not key or len(key.encode()) > KEY_BYTES:
            raise Invalid(f"the key of the object has 1 to {KEY_BYTES} bytes, not {len(key.encode())}")
        return key


def _segment(text: str) -> str:
    """What an event fills in stays within its part of the key."""
    clean = "".join(char if char.isprintable() and char not in "/\\" else "-" for char in text)
    return "-" if clean in (".", "..") else clean
