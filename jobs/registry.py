"""Which handlers there are: the built-in ones, plug-ins named by a setting, and entry points.

A broken plug-in never stops a worker. It is told of, loudly, and its handlers are missing, so that their
deliveries fail as ``HandlerMissing`` and are tried again by policy.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from types import ModuleType

from jobs.connectors import INSTALL, PACKAGES, is_installed
from jobs.handlers.base import EventHandler
from webapp.domain.optionschema import unsupported_keywords

log = logging.getLogger(__name__)

_OWN = ("log", "notify", "webhook", "email", "chat", "republish", "command", "demo")
BUILT_IN = (*(f"jobs.handlers.{name}" for name in _OWN), *(f"jobs.connectors.{name}" for name in PACKAGES))
ENTRY_POINTS = "signalbox.handlers"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.\-]{0,127}")
_STEPS = ("handle", "validate", "process", "process_batch", "cleanup")


@dataclass(frozen=True, slots=True)
class Entry:
    """A handler and where it came from: "built-in" or the plug-in's name."""

    handler: type[EventHandler]
    origin: str

    def first_line(self) -> str:
        """Of its documentation."""
        return (inspect.getdoc(self.handler) or "").partition("\n")[0]


@dataclass(slots=True)
class Registry:
    """Handlers by name, and what could not be loaded, in words."""

    entries: dict[str, Entry] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def get(self, name: str) -> type[EventHandler] | None:
        """The handler of that name, if there is one."""
        entry = self.entries.get(name)
        return entry.handler if entry else None

    def add(self, handler: type[EventHandler], origin: str) -> None:
        """Take a handler in, or note why not."""
        fault = _fault(handler)
        taken = self.entries.get(handler.name)
        if fault:
            self._complain(f"{origin}: {handler.__qualname__} {fault}")
        elif taken is None:
            self.entries[handler.name] = Entry(handler, origin)
        elif taken.handler is not handler:
            self._complain(
                f"{origin}: {handler.__qualname__} is named {handler.name!r}, which {taken.handler.__qualname__} "
                f"of {taken.origin} is already; rename one of them"
            )

    def add_from(self, origin: str, load: Callable[[], object]) -> None:
        """Take in what ``load`` gives: a handler, or a module with handlers in it."""
        try:
            loaded = load()
        except (Exception, SystemExit) as error:  # noqa: BLE001  plug-in code may do anything
            self._complain(f"{origin}: cannot be imported: {type(error).__name__}: {error}")
            return
        found = list(_handlers_of(loaded))
        if not found:
            self._complain(f"{origin}: has no EventHandler with a name in it")
        for handler in found:
            self.add(handler, origin)

    def _complain(self, problem: str) -> None:
        self.problems.append(problem)
        log.error("handler plug-in %s", problem, extra={"action": "plugin_refused"})


def load_registry(modules: Iterable[str]) -> Registry:
    """Everything there is. ``modules`` are the plug-ins named by the setting."""
    registry = Registry()
    absent = [name for name in PACKAGES if not is_installed(name)]
    if absent:
        words = ", ".join(absent)
        log.info("not offered, their clients are not installed: %s; %s", words, INSTALL, extra={"action": "no_client"})
    for name in BUILT_IN:
        if name.rpartition(".")[2] in absent:
            continue
        for handler in _handlers_of(importlib.import_module(name)):
            registry.add(handler, "built-in")
    for name in modules:
        registry.add_from(name, lambda name=name: importlib.import_module(name))  # type: ignore[misc]
    for point in entry_points(group=ENTRY_POINTS):
        registry.add_from(f"entry point {point.name}", point.load)
    return registry


def _handlers_of(loaded: object) -> Iterable[type[EventHandler]]:
    """The class itself, or the named handlers among a module's names. Bases without a name are no handlers."""
    if not isinstance(loaded, ModuleType):
        return [loaded] if inspect.isclass(loaded) and issubclass(loaded, EventHandler) else []
    classes = {value for value in vars(loaded).values() if inspect.isclass(value)}
    return sorted(
        (c for c in classes if issubclass(c, EventHandler) and c is not EventHandler and c.name),
        key=lambda c: c.name,
    )


def _fault(handler: type[EventHandler]) -> str | None:
    if not _NAME.fullmatch(handler.name):
        return f"needs a name of lower-case letters, digits, dots and dashes, not {handler.name!r}"
    for step in _STEPS:
        if not inspect.iscoroutinefunction(getattr(handler, step)):
            return f"must define {step} with 'async def'"
    is_empty = handler.process is EventHandler.process and handler.handle is EventHandler.handle
    if is_empty and not handler.batches:
        return "has no process()"
    if not isinstance(handler.options_schema, Mapping):
        return "has an options_schema that is no mapping"
    if unchecked := unsupported_keywords(handler.options_schema):
        return f"has an options_schema with what the hub cannot check: {', '.join(unchecked)}"
    return None
