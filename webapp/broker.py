"""The hub's Python API: publish, subscribe, unsubscribe, pause, resume, get_status. Usable from any asyncio program.

The work is done by the services in a thread, so that a caller's event loop never waits for a disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from webapp.domain.access import SYSTEM, Actor
from webapp.domain.errors import Forbidden
from webapp.domain.events import Event, draft_of, parse_event, through_json
from webapp.domain.pauses import parse_pause, parse_resume
from webapp.domain.subscriptions import parse_subscription
from webapp.runtime import Runtime, build_runtime
from webapp.services import catalog, subscriptions
from webapp.services.accept import Accepted, Acceptor
from webapp.services.cause import caused
from webapp.settings import Settings
from webapp.store.status import status_json


class Broker:
    """A few coroutines over one runtime. ``actor`` is who the audit log names; by default the hub itself."""

    def __init__(self, runtime: Runtime, actor: Actor = SYSTEM) -> None:
        self._rt = runtime
        self._actor = actor
        self._acceptor = Acceptor(runtime)

    @classmethod
    def connect(cls, settings: Settings) -> Broker:
        """A broker on the database and Redis that the settings name."""
        return cls(build_runtime(settings))

    async def publish(
        self,
        event: Event | Mapping[str, Any],
        *,
        deliver_at: datetime | str | None = None,
        delay: timedelta | float | str | None = None,
    ) -> Accepted:
        """Accept an event. When this returns, it is on disk and routed.

        A mapping is checked like a request of the JSON API and raises ``Refused`` with every fault. Its deliveries are
        due at once, or at ``deliver_at``, or after ``delay`` (a timedelta, seconds, or text such as ``10m``). Inside a
        handler the event is marked as caused by the one that is handled, unless it names a cause itself.
        """
        if not self._actor.can("publish"):
            raise Forbidden("Your role does not allow publishing.")
        now = self._rt.clock()
        wait = delay.total_seconds() if isinstance(delay, timedelta) else delay
        then = deliver_at.isoformat() if isinstance(deliver_at, datetime) else deliver_at
        timing = {name: value for name, value in (("deliver_at", then), ("delay", wait)) if value is not None}
        if isinstance(event, Event):
            draft = draft_of(event, now, timing=timing)
        else:
            draft = parse_event(through_json({**event, **timing}), default_source="python", now=now)
        return await asyncio.to_thread(self._acceptor.accept, caused(draft), self._actor)

    async def subscribe(
        self,
        pattern: str,
        handler: str,
        *,
        name: str = "",
        condition: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        retry: Mapping[str, Any] | None = None,
        timeout: timedelta | float | str | None = None,
        policies: Mapping[str, Any] | None = None,
        mode: str | None = None,
        transform: Mapping[str, Any] | None = None,
    ) -> str:
        """Route events whose type matches ``pattern`` (and ``condition``) to ``handler``; answers the subscription's id.

        ``timeout`` is a timedelta, seconds, or text such as ``1m30s``. ``retry`` is the document of docs/lifecycle.md,
        such as ``{"preset": "patient"}``, ``policies`` that of docs/policies.md. Raises ``Refused`` with every fault.
        """
        document: dict[str, Any] = {"name": name or f"{pattern} to {handler}", "pattern": pattern, "handler": handler}
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        given = {"condition": condition, "options": options, "retry": retry, "timeout": seconds}
        given |= {"policies": policies, "mode": mode, "transform": transform}
        document |= {key: value for key, value in given.items() if value is not None}
        return await asyncio.to_thread(self._subscribe, document)

    async def unsubscribe(self, subscription_id: str) -> None:
        """Delete a subscription; what it has not finished is cancelled. Raises ``NotFound``."""
        await asyncio.to_thread(subscriptions.delete, self._rt, self._actor, subscription_id)

    async def pause(
        self,
        subscription_id: str,
        *,
        reason: str = "",
        until: datetime | str | None = None,
        period: timedelta | float | str | None = None,
    ) -> int:
        """Hold its deliveries until it is resumed: at ``until``, after ``period`` (timedelta, seconds or ``2h``), or by hand.

        Answers how many were held. Raises ``Refused``, ``NotFound``, or ``Conflict`` when it is paused already.
        """
        wait = period.total_seconds() if isinstance(period, timedelta) else period
        then = until.isoformat() if isinstance(until, datetime) else until
        pause = parse_pause({"reason": reason, "for": wait, "until": then}, self._rt.clock())
        return await asyncio.to_thread(
            subscriptions.pause, self._rt, self._actor, subscription_id, pause.reason, pause.resume_at
        )

    async def resume(self, subscription_id: str, *, pace: float | None = None) -> int:
        """Let go what is held, ``pace`` deliveries a second or as fast as it goes; answers how many there were."""
        checked = parse_resume({"pace": pace})
        return await asyncio.to_thread(subscriptions.resume, self._rt, self._actor, subscription_id, checked)

    async def get_status(self, event_id: str) -> dict[str, Any]:
        """``{"event_id", "status", "handlers", "errors", "timestamp"}`` by the event's id. Raises ``NotFound``."""
        return await asyncio.to_thread(self._status, event_id)

    async def close(self) -> None:
        """Give connections back."""
        await asyncio.to_thread(self._rt.close)

    def _subscribe(self, document: Mapping[str, Any]) -> str:
        draft = parse_subscription(document, catalog.known_handlers(self._rt))
        return subscriptions.create(self._rt, self._actor, draft)

    def _status(self, event_id: str) -> dict[str, Any]:
        with self._rt.db.read() as conn:
            return status_json(conn, event_id, self._rt.clock())
