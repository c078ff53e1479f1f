"""Which event is being handled here, so that what a handler publishes names its cause."""

from __future__ import annotations

from contextvars import ContextVar

# The hub's id of the event. Set by whoever runs a handler, for its task and the threads that it asks for help.
CAUSE: ContextVar[str | None] = ContextVar("cause", default=None)
