"""Run a handler against an event: no Redis, no database, no hub.

>>> from signalbox.testing import event, run
>>> result = run(SendReceipt, event("order.paid", {"customer_email": "ada@example.com"}))
>>> assert result.succeeded, result.error

The attempt is the real one: validation, secrets in options, time limit, what a raised error means. What the handler
notifies, publishes, logs and remembers is in the result.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jobs.context import Context, Tools
from jobs.handlers.base import EventHandler
from jobs.options import SecretBook
from jobs.outbound import Outbound
from jobs.registry import load_registry
from jobs.resources import Factory, Resources
from jobs.runner import Ending, run_attempt, timed_out_ending
from webapp.domain.events import Event
from webapp.domain.instants import parse_instant
from webapp.domain.outcomes import Done, Outcome
from webapp.domain.retry import RetryPolicy
from webapp.domain.state import Stored, apply
from webapp.services.accept import Accepted
from webapp.settings import Settings
from webapp.store.deliveries import Claimed

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Result:
    """How the attempt ended, and all that the handler did on the way."""

    outcome: Outcome
    error_type: str | None
    error: str | None  # its message
    stack: str | None
    logs: list[tuple[str, str]]  # level, text
    progress: tuple[float, float | None, str | None] | None  # the last
    notifications: list[dict[str, Any]]
    published: list[dict[str, Any]]  # events, as the API would be sent
    state: dict[str, Any]  # what it remembers, with what it knew before

    @property
    def succeeded(self) -> bool:
        """Whether it returned ``Done``."""
        return isinstance(self.outcome, Done)

    @property
    def returned(self) -> Any:
        """The value in ``Done``."""
        return self.outcome.result if isinstance(self.outcome, Done) else None


def event(type: str = "test.event", payload: Mapping[str, Any] | None = None, **fields: Any) -> Event:
    """An event as a handler is given it; ``fields`` are those of ``Event``."""
    given: dict[str, Any] = {"id": "evt-1", "timestamp": NOON, "source": "test", "uid": "evt_1", "received_at": NOON}
    return Event(type=type, payload=dict(payload or {}), **(given | fields))


def find(name: str, *modules: str) -> type[EventHandler]:
    """The handler of that name: built in, of these modules, of an entry point, or named by ``SIGNALBOX_HANDLERS``."""
    registry = load_registry([*modules, *Settings.from_env().handler_modules])
    found = registry.get(name)
    if found is None:
        raise LookupError("; ".join([f"there is no handler {name!r} here", *registry.problems]))
    return found


def load(document: str | Path | Mapping[str, Any]) -> Event:
    """An event from its JSON: a file, text, or what was parsed of it, as the API and the event page give it."""
    if isinstance(document, Path):
        document = document.read_text(encoding="utf-8")
    values = dict(json.loads(document) if isinstance(document, str) else document)
    for name in ("timestamp", "received_at"):
        if isinstance(values.get(name), str):
            values[name] = parse_instant(values[name])
    known = {name: values[name] for name in Event.__dataclass_fields__ if values.get(name) is not None}
    return event(**known)


def run(handler: type[EventHandler], event: Event, **given: Any) -> Result:
    """One attempt, from code that is not async; see ``arun``."""
    return asyncio.run(arun(handler, event, **given))


async def arun(
    handler: type[EventHandler],
    event: Event,
    *,
    options: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str] | None = None,
    resources: Mapping[Factory, Any] | None = None,
    state: Mapping[str, Any] | None = None,
    transform: Any = None,
    commands: Mapping[str, str] | None = None,
    attempt: int = 1,
    timeout_s: float = 30.0,
    allow_private: bool = True,
) -> Result:
    """One attempt of ``handler`` at ``event``.

    ``secrets`` are put where the options say ``{secret.NAME}``; ``resources`` stand in for what factories would make;
    ``state`` is what the handler remembers; ``allow_private`` lets outgoing HTTP reach this machine.
    """
    bench = _Bench(state or {}, secrets or {}, resources or {}, allow_private, commands or {})
    until = bench.clock() + timedelta(seconds=timeout_s)
    ctx = Context(
        delivery_id="dlv_1", event_uid=event.uid, subscription_id="sub_1", attempt=attempt, deadline=until,
        tools=bench.tools(),
    )  # fmt: skip
    claimed = Claimed(
        id="dlv_1", event_uid=event.uid, subscription_id="sub_1", handler=handler.name, attempt=attempt,
        tries_used=attempt - 1, crashes=0, due_at=NOON, lane="default", priority=1, order_key=None, limit_key=None,
        event=event, options=dict(options or {}), policy=RetryPolicy(), timeout=timedelta(seconds=timeout_s),
        transform=transform,
    )  # fmt: skip
    try:
        async with asyncio.timeout(timeout_s) as limit:
            ending = await run_attempt(claimed, ctx, lambda _: handler)
    finally:
        await bench.close()
    if limit.expired():
        ending = timed_out_ending(timedelta(seconds=timeout_s))
    return bench.result(ending, ctx)


@dataclass(slots=True)
class _Bench:
    """What a hub would lend, kept in memory."""

    state: Mapping[str, Any]
    secrets: Mapping[str, str]
    given: Mapping[Factory, Any]
    allow_private: bool
    commands: Mapping[str, str]
    notifications: list[dict[str, Any]] = field(default_factory=list)
    published: list[dict[str, Any]] = field(default_factory=list)
    paused: list[str] = field(default_factory=list)  # reasons
    resources: Resources = field(init=False)
    http: Outbound = field(init=False)

    def __post_init__(self) -> None:
        self.resources = _Given(self.given)
        self.http = Outbound(timeout_s=15, max_bytes=1_048_576, allow_private=self.allow_private)

    def clock(self) -> datetime:
        return NOON

    def tools(self) -> Tools:
        return Tools(
            http=self.http, notify=self._notify, clock=self.clock, touched=lambda _: None, read_state=self._read_state,
            read_secrets=SecretBook(self._read_secrets).values, publish=self._publish, pause=self._pause,
            resources=self.resources, commands=self.commands,
        )  # fmt: skip

    async def close(self) -> None:
        await self.http.close()
        await self.resources.close()

    def result(self, ending: Ending, ctx: Context) -> Result:
        lines, progress = ctx.close()
        remembered = {key: Stored(value, 1) for key, value in self.state.items()}
        for change in ctx.changes if isinstance(ending.outcome, Done) else ():
            after = apply(change, remembered.pop(change.key, None), 1)
            remembered |= {} if after is None else {change.key: after}
        return Result(
            ending.outcome, ending.error_type, ending.error_message, ending.stack,
            [(level, text) for _, level, text in lines], progress, self.notifications, self.published,
            {key: stored.value for key, stored in remembered.items()},
        )  # fmt: skip

    async def _notify(self, severity: str, title: str, body: str = "", **more: Any) -> str:
        self.notifications.append({"severity": severity, "title": title, "body": body, **more})
        return f"ntf_{len(self.notifications)}"

    async def _publish(self, document: Mapping[str, Any]) -> Accepted:
        self.published.append(dict(document))
        return Accepted(f"evt_{len(self.published)}", str(document["id"]), False, "unrouted", ())

    async def _pause(self, subscription_id: str, reason: str) -> bool:
        self.paused.append(reason)
        return True

    async def _read_state(self, subscription_id: str, key: str) -> Stored | None:
        return Stored(self.state[key], 1) if key in self.state else None

    async def _read_secrets(self, names: Collection[str]) -> dict[str, str]:
        return {name: self.secrets[name] for name in names if name in self.secrets}


class _Given(Resources):
    """Those that a test brings; others are made for real."""

    def __init__(self, given: Mapping[Factory, Any]) -> None:
        super().__init__()
        self._given = given

    async def get(self, factory: Factory, key: Hashable = None) -> Any:
        return self._given[factory] if factory in self._given else await super().get(factory, key)
