"""Ending a process in good order when a signal says so, whatever its main thread is waiting for.

The orderly end happens in a thread of its own: the main thread may be inside a Redis that hangs. When it is
done the process ends, with or without the main thread, and without Python's farewell, which handlers that
were left behind could hold up for ever.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

log = logging.getLogger(__name__)

FAREWELL_S = 1.0


class Stop:
    """Whether this process was asked to end, and what is to be done then."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._heard: SimpleQueue[None] = SimpleQueue()  # unlike an Event, safe to touch in a signal handler
        self._done = threading.Event()
        threading.Thread(target=self._relay, name="stop", daemon=True).start()
        self.listen()

    def ask(self) -> None:
        """Ask the process to end."""
        self._heard.put(None)

    def listen(self) -> None:
        """Be the one that signals reach. RQ puts its own handlers in place while it works."""
        for sig in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sig, lambda *_: self.ask())

    def then(self, act: Callable[[], None]) -> None:
        """Once asked, do this and end the process."""
        threading.Thread(target=self._end, args=(act,), name="ending", daemon=True).start()

    def finish(self) -> None:
        """The main thread has nothing more to do: end in good order."""
        self.ask()
        self._done.wait()

    def _relay(self) -> None:
        self._heard.get()
        self.asked.set()

    def _end(self, act: Callable[[], None]) -> None:
        self.asked.wait()
        try:
            act()
        except Exception:
            log.exception("the end was not as orderly as it should be")
        self._done.set()
        time.sleep(FAREWELL_S)
        end_process(0)


def end_process(code: int) -> None:
    """At once, but not before everything is said."""
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)
