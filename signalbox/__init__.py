"""Signalbox from other programs: publish events, see what became of them.

>>> from signalbox import Client
>>> with Client("http://127.0.0.1:8000", key="sbx_…") as hub:
...     hub.publish("order.paid", {"order": 1042, "amount": 19.9}, source="shop")

``AsyncClient`` is the same for asyncio. ``Outbox`` keeps events on disk while the hub cannot be reached.
"""

from __future__ import annotations

from signalbox.aio import AsyncClient
from signalbox.client import Client
from signalbox.errors import RefusedError, SignalboxError, UnavailableError
from signalbox.outbox import Flushed, Outbox
from signalbox.wire import Receipt, Refusal, Retries, document

__all__ = [
    "AsyncClient",
    "Client",
    "Flushed",
    "Outbox",
    "Receipt",
    "Refusal",
    "RefusedError",
    "Retries",
    "SignalboxError",
    "UnavailableError",
    "document",
]
