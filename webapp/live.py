"""Live facts: what changed, told to browsers as hints. A hint carries no content; the GET that follows is the truth.

Facts are coalesced here, in the process where they happen: the first goes out at once, those that
follow within the window go out together, so a flood of events costs a browser a few messages a second.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import Any, Protocol

import socketio

log = logging.getLogger(__name__)

CHANNEL = "signalbox"  # named on both sides: the libraries' defaults differ
NAMESPACE = "/live"
WINDOW_S = 0.05  # between two messages while it is quiet
BUSY_WINDOW_S = 0.5  # and while more than MAX_ITEMS facts arrive per message
MAX_ITEMS = 50


@dataclass(frozen=True, slots=True)
class EventChanged:
    """An event was accepted, or one of its deliveries moved, progressed or logged."""

    id: str  # uid of the event
    state: str  # status of the event, "" when the teller does not know it
    name = "event.changed"


@dataclass(frozen=True, slots=True)
class NotificationCreated:
    """A notification for people is there to be fetched."""

    id: str
    state: str  # severity
    name = "notification.created"


@dataclass(frozen=True, slots=True)
class SubscriptionChanged:
    """A subscription was created, edited, paused, resumed or deleted."""

    id: str
    state: str
    name = "subscription.changed"


@dataclass(frozen=True, slots=True)
class WorkerChanged:
    """A worker started, stopped or was lost."""

    id: str
    state: str
    name = "worker.changed"


@dataclass(frozen=True, slots=True)
class BulkChanged:
    """A bulk operation began, went on, or changed its state."""

    id: str
    state: str
    name = "bulk.changed"


@dataclass(frozen=True, slots=True)
class TransferChanged:
    """An export or import began, went on, or changed its state."""

    id: str
    state: str
    name = "transfer.changed"


@dataclass(frozen=True, slots=True)
class ViewersChanged:
    """People came to a page or left it; told to those who look at it (``webapp.web.viewing``)."""

    id: str  # "event:evt_…", "delivery:dlv_…", "subscription:sub_…"
    state: str  # always ""
    name = "viewers.changed"


Fact = (
    EventChanged
    | NotificationCreated
    | SubscriptionChanged
    | WorkerChanged
    | BulkChanged
    | TransferChanged
    | ViewersChanged
)
FACTS: tuple[type[Any], ...] = (EventChanged, NotificationCreated, SubscriptionChanged, WorkerChanged, BulkChanged, TransferChanged, ViewersChanged)  # fmt: skip


class Publisher(Protocol):
    """Tells facts to whoever listens. Never raises, never blocks: losing a hint is harmless."""

    def tell(self, *facts: Fact) -> None: ...

    def close(self) -> None: ...


class RecordingPublisher:
    """Keeps facts in a list, for tests."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def tell(self, *facts: Fact) -> None:
        self.facts.extend(facts)

    def close(self) -> None:
        return None


class RedisPublisher:
    """Sends ``{"items": [{"id", "state", "v"}…], "more": n}`` per kind through Redis to every web process.

    ``v`` grows with every message of this process; ``more`` counts facts that were left out, so a
    page that sees ``more > 0`` knows to fetch again whatever it shows.
    """

    def __init__(self, redis_url: str) -> None:
        self._url = redis_url
        self._pending: dict[str, dict[str, str]] = {}
        self._extra: dict[str, int] = {}
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._closed = False
        self._thread: threading.Thread | None = None

    def tell(self, *facts: Fact) -> None:
        if not facts:
            return
        with self._lock:
            for fact in facts:
                items = self._pending.setdefault(fact.name, {})
                if fact.id in items or len(items) < MAX_ITEMS:
                    items[fact.id] = fact.state
                else:
                    self._extra[fact.name] = self._extra.get(fact.name, 0) + 1
            if self._thread is None:  # lazily: a thread must be born after the fork that made this process
                self._thread = threading.Thread(target=self._run, name="live", daemon=True)
                self._thread.start()
        self._wake.set()

    def close(self) -> None:
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=1)

    def _run(self) -> None:
        manager = socketio.RedisManager(
            self._url,
            channel=CHANNEL,
            write_only=True,
            redis_options={"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
            logger=logging.getLogger("socketio.quiet"),
        )
        v = 0
        while not self._closed or self._pending:
            self._wake.wait()
            self._wake.clear()
            with self._lock:
                pending, self._pending = self._pending, {}
                extra, self._extra = self._extra, {}
            for name, items in pending.items():
                v += 1
                message = {
                    "items": [{"id": i, "state": s, "v": v} for i, s in items.items()],
                    "more": extra.get(name, 0),
                }
                try:
                    manager.emit(name, message, namespace=NAMESPACE)
                except Exception as error:  # noqa: BLE001  a hint must never hurt the work it tells of
                    log.warning("live hint lost: %s", error, extra={"action": "hint_lost"})
            if not self._closed:
                time.sleep(BUSY_WINDOW_S if extra else WINDOW_S)
