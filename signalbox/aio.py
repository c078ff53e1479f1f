"""The client for asyncio: the same as ``Client``, awaited."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Self

import httpx

from signalbox.client import TIMEOUT_S, refused
from signalbox.errors import UnavailableError
from signalbox.outbox import Outbox
from signalbox.requests import Request, batch_request, list_request, options_of, publish_request
from signalbox.wire import (
    Receipt,
    Refusal,
    Retries,
    document,
    in_batches,
    may_retry,
    parsed,
    receipt_of,
    results_of,
    retry_after,
)


class AsyncClient:
    """A hub, by address and API key. Use one for the whole program, in one event loop."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout_s: float = TIMEOUT_S,
        retries: Retries | None = None,
        outbox: Outbox | None = None,
        verify: Any = True,
    ) -> None:
        self._http = httpx.AsyncClient(**options_of(url, key, timeout_s, verify))
        self._retries = retries or Retries()
        self._outbox = outbox

    async def publish(
        self, type: str, payload: Mapping[str, Any] | None = None, *, wait: float | None = None, **fields: Any
    ) -> Receipt:
        """See ``Client.publish``."""
        event = document(type, payload, **fields)
        try:
            return receipt_of(event["id"], await self.call(publish_request(event, wait)))
        except UnavailableError:
            if self._outbox is None:
                raise
            await asyncio.to_thread(self._outbox.add, event)
            return Receipt(event["id"], "", False, "offline")

    async def publish_many(
        self, events: Iterable[Mapping[str, Any]], *, atomic: bool = False
    ) -> list[Receipt | Refusal]:
        """See ``Client.publish_many``."""
        batches = list(in_batches(events))
        if atomic and len(batches) > 1:
            raise ValueError("these are too many for one request, so they cannot be all or nothing")
        results: list[Receipt | Refusal] = []
        for lines in batches:
            results += results_of(await self.call(batch_request(lines, atomic=atomic)), len(results))
        return results

    async def event(self, event_id: str) -> dict[str, Any]:
        """An event with its payload, by the hub's id or the sender's."""
        return dict(await self.get(f"/api/v1/events/{event_id}"))

    async def status(self, event_id: str) -> dict[str, Any]:
        """What became of it: ``{"event_id", "status", "handlers", "errors", "timestamp"}``."""
        return dict(await self.get(f"/api/v1/events/{event_id}/status"))

    def events(self, **filters: Any) -> AsyncIterator[dict[str, Any]]:
        """Events, newest first; see ``Client.events``."""
        return self.walk("/api/v1/events", **filters)

    def deliveries(self, **filters: Any) -> AsyncIterator[dict[str, Any]]:
        """Deliveries, newest first."""
        return self.walk("/api/v1/deliveries", **filters)

    def errors(self, **filters: Any) -> AsyncIterator[dict[str, Any]]:
        """Error documents, newest first."""
        return self.walk("/api/v1/errors", **filters)

    async def walk(self, path: str, **filters: Any) -> AsyncIterator[dict[str, Any]]:
        """Every item of a list of the API, following its cursor."""
        cursor: str | None = None
        while True:
            page = await self.call(list_request(path, filters, cursor))
            for item in page["data"]:
                yield item
            cursor = page.get("next_cursor")
            if not cursor:
                return

    async def get(self, path: str) -> Any:
        """Any resource of the API."""
        return await self.call(Request("GET", path))

    async def post(self, path: str, body: Any = None, *, repeatable: bool = False) -> Any:
        """Any action of the API; ``repeatable`` says that doing it twice is the same as once."""
        return await self.call(Request.of_json("POST", path, body, repeatable=repeatable))

    async def call(self, request: Request) -> Any:
        """Send it until it is answered, or until trying again makes no sense."""
        tried = 0
        while True:
            tried += 1
            trouble: Exception
            try:
                answer = await self._http.request(**request.to_httpx())
            except httpx.TransportError as error:
                trouble, asked, again = error, None, request.survives(error)
            else:
                if not may_retry(answer.status_code, repeatable=request.repeatable):
                    return parsed(answer.status_code, answer.content)
                trouble, asked, again = refused(answer), retry_after(answer.headers.get("Retry-After")), True
            pause = self._retries.wait(tried, asked, random.random()) if again else None  # noqa: S311, TID251
            if pause is None:
                raise UnavailableError(f"{request.method} {request.path}: {trouble}") from trouble
            await asyncio.sleep(pause)

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()
