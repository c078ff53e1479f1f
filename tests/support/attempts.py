"""A context and a claimed delivery by hand, for handlers that are run without a hub."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from jobs.context import Context, Tools
from jobs.options import SecretBook
from jobs.outbound import Outbound
from tests.support.clock import NOON, Clock
from webapp.domain.events import Event
from webapp.domain.retry import RetryPolicy
from webapp.domain.state import Stored
from webapp.services.accept import Accepted
from webapp.store.deliveries import Claimed

EVENT = Event(
    id="o-1", type="order.paid", payload={"amount": 12, "customer": {"name": "Ada"}, "items": ["tea"]},
    timestamp=NOON, source="shop", uid="evt_1", labels={"channel": "web"},
)  # fmt: skip


class Notes:
    """What a handler asked its tools for."""

    def __init__(self, *, allow_private: bool = True, max_bytes: int = 1_048_576, timeout_s: float = 5) -> None:
        self.notified: list[tuple[str, str, str, dict[str, Any]]] = []
        self.touched: list[Context] = []
        self.stored: dict[str, Stored] = {}
        self.secrets: dict[str, str] = {}
        self.commands: dict[str, str] = {}
        self.paused: list[tuple[str, str]] = []
        self.published: list[dict[str, Any]] = []
        self.http = Outbound(timeout_s=timeout_s, max_bytes=max_bytes, allow_private=allow_private)

    async def notify(self, severity: str, title: str, body: str, **more: Any) -> str:
        self.notified.append((severity, title, body, more))
        return "ntf_1"

    async def publish(self, document: Mapping[str, Any]) -> Accepted:
        self.published.append(dict(document))
        return Accepted("evt_2", document["id"], False, "unrouted", ())

    async def pause(self, subscription_id: str, reason: str) -> bool:
        self.paused.append((subscription_id, reason))
        return True

    async def read_state(self, subscription_id: str, key: str) -> Stored | None:
        return self.stored.get(key)

    async def read_secrets(self, names: Collection[str]) -> dict[str, str]:
        return {name: self.secrets[name] for name in names if name in self.secrets}

    def tools(self) -> Tools:
        return Tools(
            http=self.http,
            notify=self.notify,
            clock=Clock(),
            touched=self.touched.append,
            read_state=self.read_state,
            read_secrets=SecretBook(self.read_secrets).values,
            publish=self.publish,
            pause=self.pause,
            commands=self.commands,
        )

    def context(self, attempt: int = 1) -> Context:
        deadline = NOON + timedelta(seconds=30)
        return Context(
            delivery_id="dlv_1",
            event_uid="evt_1",
            subscription_id="sub_1",
            attempt=attempt,
            deadline=deadline,
            tools=self.tools(),
        )


def claimed(handler: str = "t.ok", payload: Mapping[str, Any] | None = None, **fields: Any) -> Claimed:
    """A claimed delivery of an event with this payload."""
    event = EVENT if payload is None else Event(
        id="o-1", type="order.paid", payload=dict(payload), timestamp=NOON, source="shop", uid="evt_1"
    )  # fmt: skip
    values: dict[str, Any] = {
        "id": "dlv_1", "event_uid": "evt_1", "subscription_id": "sub_1", "handler": handler, "attempt": 1,
        "tries_used": 0, "crashes": 0, "due_at": NOON, "lane": "default", "priority": 1, "order_key": None, "limit_key": None, "event": event, "options": {},
        "policy": RetryPolicy(max_attempts=3), "timeout": timedelta(seconds=5),
    }  # fmt: skip
    return Claimed(**values | fields)
