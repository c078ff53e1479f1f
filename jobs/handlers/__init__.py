"""What handlers are written with. Plug-ins import from here and from nowhere else in the hub.

>>> from jobs.handlers import Context, Done, Event, EventHandler, Retry, handler
"""

from __future__ import annotations

from jobs.context import Context, TimeIsUp
from jobs.handlers.base import EventHandler, Invalid, Permanent
from jobs.handlers.functions import Depends, handler
from webapp.domain.events import Event
from webapp.domain.outcomes import Discard, Done, Outcome, Retry, Skip, Snooze

__all__ = [
    "Context",
    "Depends",
    "Discard",
    "Done",
    "Event",
    "EventHandler",
    "Invalid",
    "Outcome",
    "Permanent",
    "Retry",
    "Skip",
    "Snooze",
    "TimeIsUp",
    "handler",
]
