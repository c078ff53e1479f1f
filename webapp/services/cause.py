"""Which event is being handled here, so that what a handler publishes names its cause."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import replace

from webapp.domain.events import EventDraft

# The hub's id of the event. Set by whoever runs a handler, for its task and the threads that it asks for help.
CAUSE: ContextVar[str | None] = ContextVar("cause", default=None)


def caused(draft: EventDraft) -> EventDraft:
    """The draft, marked as caused by the event that is handled here, unless it names a cause itself."""
    cause = CAUSE.get()
    return draft if cause is None or draft.causation_id is not None else replace(draft, causation_id=cause)
