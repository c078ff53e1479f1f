"""The class that every handler is: validate, then process, then cleanup, which always runs.

A handler object lives for one attempt. What it returns is an ``Outcome``; what it raises becomes ``Retry``,
or ``Discard`` when it says that no retry can help. Nothing of the hub's own state may be kept here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from pydantic import BaseModel

from jobs.context import Context
from jobs.handlers.models import parsed
from jobs.resources import Factory
from webapp.domain.events import Event
from webapp.domain.outcomes import Discard, Done, Outcome, Retry, Skip, Snooze

log = logging.getLogger(__name__)

OUTCOMES = (Done, Retry, Discard, Snooze, Skip)


class Permanent(Exception):
    """No retry can help: the delivery is dead at once, with the error on record."""


class Invalid(Permanent):
    """The event is not one that this handler can process. Events do not change, so neither will this."""


class EventHandler:
    """Base of handlers. Give it a ``name`` and a ``process``; the rest is optional.

    Define ``process_batch`` too, or instead, to be subscribed to with a batch: it is given many events in one call.
    ``isolated`` handlers run alone in a forked process: choose it for code that computes for long without awaiting, or
    that may crash. ``options_schema`` is the JSON Schema of ``self.options``.
    """

    name: ClassVar[str] = ""
    description: ClassVar[str] = ""
    isolated: ClassVar[bool] = False
    options_schema: ClassVar[Mapping[str, Any]] = {}
    payload_model: ClassVar[type[BaseModel] | None] = None  # a payload that does not fit is Invalid; see payload()
    requires: ClassVar[Mapping[str, Factory]] = {}  # attribute -> factory of a client that the worker keeps
    batches: ClassVar[bool] = False  # it takes lists; follows from ``process_batch``

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        cls.batches = cls.process_batch is not EventHandler.process_batch

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        self.options: Mapping[str, Any] = MappingProxyType(dict(options or {}))
        self._payloads: dict[str, BaseModel] = {}

    async def handle(self, event: Event, ctx: Context) -> Outcome:
        """The whole attempt. Override the steps, not this."""
        try:
            await self.check(event, ctx)
            returned = await self.process(event, ctx)
        finally:
            await self._cleaned(event, ctx)
        return returned if isinstance(returned, OUTCOMES) else Done(returned)

    async def handle_batch(self, events: Sequence[Event], ctx: Context) -> Outcome:
        """The same for a list of events that were found valid, each by itself. What is returned is for all of them."""
        try:
            returned = await self.process_batch(events, ctx)
        finally:
            for event in events:
                await self._cleaned(event, ctx)
        return returned if isinstance(returned, OUTCOMES) else Done(returned)

    async def validate(self, event: Event, ctx: Context) -> None:
        """Raise ``Invalid`` (or any ``ValueError``) when this event can never be processed."""

    async def process(self, event: Event, ctx: Context) -> Any:
        """Do the work. Return an ``Outcome``; any other value means ``Done(value)``."""
        return await self.process_batch([event], ctx)

    async def process_batch(self, events: Sequence[Event], ctx: Context) -> Any:
        """Do the work for all of these at once, oldest first. The outcome holds for each of them."""
        raise NotImplementedError(f"{type(self).__name__} has no process()")

    async def cleanup(self, event: Event, ctx: Context) -> None:
        """Give back what was taken. Runs after success, failure and time-out alike."""

    def payload(self, event: Event) -> Any:
        """The payload as ``payload_model``, which it has been found to be."""
        return self._payloads[event.uid]

    async def check(self, event: Event, ctx: Context) -> None:
        """Give it what it requires, then validate: what cannot be processed is ``Invalid``."""
        for name, factory in self.requires.items():
            setattr(self, name, await ctx.resource(factory))
        try:
            if self.payload_model is not None:
                self._payloads[event.uid] = parsed(self.payload_model, event.payload, "payload")
            await self.validate(event, ctx)
        except ValueError as error:
            raise Invalid(str(error)) from error

    async def _cleaned(self, event: Event, ctx: Context) -> None:
        try:
            await self.cleanup(event, ctx)
        except Exception as error:
            # It must not hide how the attempt itself ended.
            ctx.log(f"cleanup failed: {type(error).__name__}: {error}", "error")
            log.exception("cleanup of %s failed", self.name, extra={"delivery_id": ctx.delivery_id})
