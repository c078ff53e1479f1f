"""Handlers written as functions: what a function asks for in its signature, it is given.

>>> @handler("shop.receipt")
... async def receipt(payload: Order, ctx: Context, mail: Annotated[Mailer, Depends(mailer)]) -> str: ...
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from jobs.context import Context
from jobs.handlers.base import EventHandler
from jobs.handlers.models import parsed, schema_of
from jobs.resources import Factory
from webapp.domain.events import Event

Function = Callable[..., Any]
Give = Callable[[EventHandler, Sequence[Event], Context], Any]


@dataclass(frozen=True, slots=True)
class Depends:
    """Of a parameter: it is given what this factory makes, once per worker. ``Annotated[Mailer, Depends(mailer)]``."""

    factory: Factory


def handler(
    name: str,
    *,
    description: str = "",
    isolated: bool = False,
    options_schema: Mapping[str, Any] | None = None,
) -> Callable[[Function], type[EventHandler]]:
    """Make an event handler of a function, ``async def`` or plain (which runs in a thread).

    Parameters, in any order: ``event: Event``, ``ctx: Context``, one of a pydantic model for the payload, ``options`` of a
    pydantic model or as the mapping that they are, any ``Annotated[..., Depends(factory)]``; ``events: Sequence[Event]``
    instead of an event makes it one that takes lists. Anything else is a ``TypeError``, here and now.
    """

    def make(function: Function) -> type[EventHandler]:
        gives, facts = _read_signature(function)

        async def run(self: EventHandler, events: Sequence[Event], ctx: Context) -> Any:
            given = {parameter: give(self, events, ctx) for parameter, give in gives.items()}
            if inspect.iscoroutinefunction(function):
                return await function(**given)
            return await asyncio.to_thread(function, **given)

        async def process(self: EventHandler, event: Event, ctx: Context) -> Any:
            return await run(self, [event], ctx)

        takes_lists = facts.pop("takes_lists")
        members: dict[str, Any] = {
            "name": name, "description": description or (inspect.getdoc(function) or "").partition("\n")[0],
            "isolated": isolated, "__doc__": function.__doc__, "__module__": function.__module__,
            "__qualname__": function.__qualname__, "function": staticmethod(function), **facts,
            "process_batch" if takes_lists else "process": run if takes_lists else process,
        }  # fmt: skip
        if options_schema is not None:
            members["options_schema"] = options_schema
        return type(function.__name__, (EventHandler,), members)

    return make


def _read_signature(function: Function) -> tuple[dict[str, Give], dict[str, Any]]:
    """How each parameter is given, and what the handler needs for that."""
    hints = get_type_hints(function, include_extras=True)
    gives: dict[str, Give] = {}
    requires: dict[str, Factory] = {}
    facts: dict[str, Any] = {"requires": requires, "takes_lists": False}
    for parameter in inspect.signature(function).parameters.values():
        name, hint = parameter.name, hints.get(parameter.name)
        depends = _depends_of(hint)
        if depends is not None:
            requires[name] = depends.factory
            gives[name] = _attribute(name)
        elif hint is Event or name == "event":
            gives[name] = _first
        elif name == "events":
            gives[name], facts["takes_lists"] = _all, True
        elif hint is Context or name == "ctx":
            gives[name] = _context
        elif name == "options":
            gives[name] = _options(hint, facts)
        elif inspect.isclass(hint) and issubclass(hint, BaseModel) and "payload_model" not in facts:
            facts["payload_model"] = hint
            gives[name] = _payload
        else:
            raise TypeError(f"{function.__qualname__}: nothing is known to give for its parameter {name!r}")
    if facts["takes_lists"] and (_first in gives.values() or _payload in gives.values()):
        raise TypeError(f"{function.__qualname__}: takes either one event or a list of them")
    return gives, facts


def _depends_of(hint: Any) -> Depends | None:
    if get_origin(hint) is not Annotated:
        return None
    return next((one for one in get_args(hint)[1:] if isinstance(one, Depends)), None)


def _options(hint: Any, facts: dict[str, Any]) -> Give:
    if not (inspect.isclass(hint) and issubclass(hint, BaseModel)):
        return lambda self, events, ctx: self.options
    model: type[BaseModel] = hint
    facts["options_schema"] = schema_of(model)
    return lambda self, events, ctx: parsed(model, dict(self.options), "options")


def _attribute(name: str) -> Give:
    return lambda self, events, ctx: getattr(self, name)


def _first(self: EventHandler, events: Sequence[Event], ctx: Context) -> Event:
    return events[0]


def _all(self: EventHandler, events: Sequence[Event], ctx: Context) -> Sequence[Event]:
    return events


def _context(self: EventHandler, events: Sequence[Event], ctx: Context) -> Context:
    return ctx


def _payload(self: EventHandler, events: Sequence[Event], ctx: Context) -> Any:
    return self.payload(events[0])
