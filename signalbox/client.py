"""The client for programs that wait for an answer."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import httpx

from signalbox.errors import RefusedError, UnavailableError
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

TIMEOUT_S = 10.0


class Client:
    """A hub, by address and API key. Keeps its connections: use one for the whole program, from any thread.

    With an ``outbox``, what cannot be sent is kept there instead of raising ``UnavailableError``; see ``Outbox.flush``.
    """

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
        self._http = httpx.Client(**options_of(url, key, timeout_s, verify))
        self._retries = retries or Retries()
        self._outbox = outbox

    def publish(
        self, type: str, payload: Mapping[str, Any] | None = None, *, wait: float | None = None, **fields: Any
    ) -> Receipt:
        """Publish one event (``fields`` are those of ``document``); it is on the hub's disk when this returns.

        With ``wait``, up to 30 seconds, ``outcome`` says what became of it if it ended by then. Raises ``RefusedError``,
        or ``UnavailableError`` when there is no outbox.
        """
        event = document(type, payload, **fields)
        try:
            return receipt_of(event["id"], self.call(publish_request(event, wait)))
        except UnavailableError:
            if self._outbox is None:
                raise
            self._outbox.add(event)
            return Receipt(event["id"], "", False, "offline")

    def publish_many(self, events: Iterable[Mapping[str, Any]], *, atomic: bool = False) -> list[Receipt | Refusal]:
        """Publish events, as mappings or made by ``document``; a result for each, in their order.

        With ``atomic`` they are all accepted or none, which holds for up to a thousand: beyond, it raises ``ValueError``.
        """
        batches = list(in_batches(events)) if atomic else in_batches(events)
        if isinstance(batches, list) and len(batches) > 1:
            raise ValueError("these are too many for one request, so they cannot be all or nothing")
        results: list[Receipt | Refusal] = []
        for lines in batches:
            results += results_of(self.call(batch_request(lines, atomic=atomic)), len(results))
        return results

    def event(self, event_id: str) -> dict[str, Any]:
        """An event with its payload, by the hub's id or the sender's."""
        return dict(self.get(f"/api/v1/events/{event_id}"))

    def status(self, event_id: str) -> dict[str, Any]:
        """What became of it: ``{"event_id", "status", "handlers", "errors", "timestamp"}``."""
        return dict(self.get(f"/api/v1/events/{event_id}/status"))

    def events(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """Events, newest first, page by page as they are asked for: ``type``, ``source``, ``status``, ``since``, ``until``."""
        return self.walk("/api/v1/events", **filters)

    def deliveries(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """Deliveries, newest first: ``state``, ``subscription_id`` and what else the API filters by."""
        return self.walk("/api/v1/deliveries", **filters)

    def errors(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """Error documents, newest first."""
        return self.walk("/api/v1/errors", **filters)

    def retry(self, delivery_id: str) -> dict[str, Any]:
        """Try a dead delivery again."""
        return dict(self.post(f"/api/v1/deliveries/{delivery_id}/retry"))

    def rerun(self, delivery_id: str) -> dict[str, Any]:
        """A new delivery of the same event to the same subscription."""
        return dict(self.post(f"/api/v1/deliveries/{delivery_id}/rerun"))

    def cancel(self, delivery_id: str) -> dict[str, Any]:
        """Ask for the end of a delivery."""
        return dict(self.post(f"/api/v1/deliveries/{delivery_id}/cancel"))

    def walk(self, path: str, **filters: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list of the API, following its cursor."""
        cursor: str | None = None
        while True:
            page = self.call(list_request(path, filters, cursor))
            yield from page["data"]
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def get(self, path: str) -> Any:
        """Any resource of the API."""
        return self.call(Request("GET", path))

    def post(self, path: str, body: Any = None, *, repeatable: bool = False) -> Any:
        """Any action of the API; ``repeatable`` says that doing it twice is the same as once."""
        return self.call(Request.of_json("POST", path, body, repeatable=repeatable))

    def call(self, request: Request) -> Any:
        """Send it until it is answered, or until trying again makes no sense."""
        tried = 0
        while True:
            tried += 1
            trouble: Exception
            try:
                answer = self._http.request(**request.to_httpx())
            except httpx.TransportError as error:
                trouble, asked, again = error, None, request.survives(error)
            else:
                if not may_retry(answer.status_code, repeatable=request.repeatable):
                    return parsed(answer.status_code, answer.content)
                trouble, asked, again = refused(answer), retry_after(answer.headers.get("Retry-After")), True
            pause = self._retries.wait(tried, asked, random.random()) if again else None  # noqa: S311, TID251
            if pause is None:
                raise UnavailableError(f"{request.method} {request.path}: {trouble}") from trouble
            time.sleep(pause)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def refused(answer: httpx.Response) -> Exception:
    """What an answer that says "not now" says."""
    try:
        parsed(answer.status_code, answer.content)
    except (RefusedError, UnavailableError) as error:
        return error
    return UnavailableError(f"HTTP {answer.status_code}")
