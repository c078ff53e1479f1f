"""What the terminal shows: every line of every process, with the name of the process in front.

Children print what handlers and senders give them: no control character of theirs may reach the terminal.
"""

from __future__ import annotations

import os
import time
from typing import TextIO

from webapp.logs import escape, timestamp, to_json_line

HUB = "hub"
_COLOURS = {"hub": 1, "web": 36, "beat": 35, "redis": 31}
_WORKER_COLOURS = (32, 33, 34, 92, 93, 94)


class Console:
    """Prefixed lines for people, or JSON lines for machines."""

    def __init__(self, stream: TextIO, *, as_json: bool, width: int) -> None:
        self._stream = stream
        self._json = as_json
        self._width = width
        self._colour = not as_json and stream.isatty() and not os.environ.get("NO_COLOR")  # noqa: TID251  a standard of all tools
        self._order: list[str] = []

    def say(self, message: str, *, level: str = "info", **facts: str) -> None:
        """A line of the supervisor's own."""
        if self._json:
            head = {"ts": timestamp(time.time()), "level": level, "logger": "jobs.supervisor", "message": message}
            self._write(to_json_line({**head, "process": HUB, **facts}))
        else:
            self._write(f"{self._prefix(HUB)}{message}")

    def relay(self, name: str, line: str) -> None:
        """A line that a child printed."""
        if not self._json:
            self._write(f"{self._prefix(name)}{escape(line)}")
        elif line.startswith("{"):
            self._write(line)
        elif line.strip():  # not from a logger: the interpreter's last words, or a handler's print
            head = {"ts": timestamp(time.time()), "level": "info", "logger": "stdout", "message": line}
            self._write(to_json_line({**head, "process": name}))

    def box(self, title: str, link: str) -> None:
        """A link that must not be overlooked."""
        if self._json:
            self.say(title, link=link)
            return
        width = max(len(title), len(link)) + 4
        edge = f"+{'-' * width}+"
        rows = ["", title, link, ""]
        for row in [edge, *(f"|  {row:<{width - 4}}  |" for row in rows), edge]:
            self._write(row)

    def _prefix(self, name: str) -> str:
        padded = f"{name:<{self._width}} |"
        return f"\x1b[{self._colour_of(name)}m{padded}\x1b[0m " if self._colour else f"{padded} "

    def _colour_of(self, name: str) -> int:
        if name in _COLOURS:
            return _COLOURS[name]
        if name not in self._order:
            self._order.append(name)
        return _WORKER_COLOURS[self._order.index(name) % len(_WORKER_COLOURS)]

    def _write(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except OSError:  # the terminal is gone; the hub is not
            return
