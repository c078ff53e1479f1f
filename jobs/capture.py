"""What a handler says through the standard library's logging, on the event's page beside its ``ctx.log`` lines.

Only the handler's own words: what the hub and its libraries log stays in the hub's log.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar

from jobs.context import Context

CURRENT: ContextVar[Context] = ContextVar("current_attempt")
NOT_THEIRS = ("jobs.", "webapp.", "signalbox", "asyncio", "rq", "aiohttp", "sqlalchemy", "socketio", "urllib3", "py.")


class AttemptHandler(logging.Handler):
    """Copies records that were made inside an attempt to that attempt's lines, and stamps them with its ids."""

    def emit(self, record: logging.LogRecord) -> None:
        context = CURRENT.get(None)
        if context is None or record.name.startswith(NOT_THEIRS):
            return
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001  their arguments do not fit their format: show what there is
            text = str(record.msg)
        context.log(text, "error" if record.levelno >= logging.ERROR else record.levelname.lower())


def capture() -> None:
    """Listen from now on, whatever level the hub's own log has."""
    logging.getLogger().addHandler(AttemptHandler(logging.INFO))
