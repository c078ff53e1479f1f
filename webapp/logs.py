"""Logging of every process: JSON lines for machines, or one readable line for people. Standard library only.

What is logged comes from senders too: control characters never reach the terminal or break a line,
so nobody can forge an entry. Payloads and secrets must never be logged.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from webapp.settings import Settings

# C0, DEL, C1, bidirectional overrides, line and paragraph separators, lone surrogates
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "process_name", "color_message"}
_QUIET = ("rq", "socketio", "engineio", "alembic", "asyncio", "aiohttp.access", "werkzeug")

_ids: ContextVar[Mapping[str, str]] = ContextVar("log_ids")


@contextmanager
def bind_log_context(**ids: str | None) -> Iterator[None]:
    """Stamp ``event_uid``, ``delivery_id``, ``request_id`` and the like on every record logged inside the block."""
    token = _ids.set({**_ids.get({}), **{name: value for name, value in ids.items() if value}})
    try:
        yield
    finally:
        _ids.reset(token)


def configure_logging(settings: Settings, process_name: str) -> None:
    """Send every logger of this process to stderr in the form that the settings ask for."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(settings.log_format, process_name))
    handler.addFilter(stamp_ids)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level) if root.level > logging.DEBUG else root.level)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def stamp_ids(record: logging.LogRecord) -> bool:
    """A filter that lets everything pass and adds the ids bound around the call."""
    for name, value in _ids.get({}).items():
        record.__dict__.setdefault(name, value)
    return True


def escape(text: str) -> str:
    """The text with every character that could break a line or drive a terminal written as an escape."""
    return _UNSAFE.sub(_escaped, text)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ts, level, logger, message, process, then whatever was passed as ``extra``."""

    def __init__(self, process_name: str) -> None:
        super().__init__()
        self._process = process_name

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "ts": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": self._process,
            **extra_fields(record),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            fields["stack"] = record.stack_info
        return to_json_line(fields)


class ConsoleFormatter(logging.Formatter):
    """``13:40:01.123 WARNING webapp.queue  message  delivery_id=dlv_…``; a traceback follows, indented."""

    def format(self, record: logging.LogRecord) -> str:
        clock = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")  # people read local time
        extra = "".join(f" {name}={escape(str(value))}" for name, value in extra_fields(record).items())
        line = (
            f"{clock}.{int(record.msecs):03d} {record.levelname:<7} {record.name}  {escape(record.getMessage())}{extra}"
        )
        if record.exc_info:
            line += "".join(f"\n    {escape(part)}" for part in self.formatException(record.exc_info).splitlines())
        return line


def extra_fields(record: logging.LogRecord) -> dict[str, Any]:
    """What was given as ``extra`` or bound by ``bind_log_context``."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def to_json_line(fields: Mapping[str, Any]) -> str:
    """JSON on one line that no terminal and no line splitter can misread."""
    return escape(json.dumps(fields, ensure_ascii=False, default=str))


def timestamp(seconds: float) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _formatter(log_format: str, process_name: str) -> logging.Formatter:
    if log_format == "auto":
        log_format = "console" if sys.stderr.isatty() else "json"
    return ConsoleFormatter() if log_format == "console" else JsonFormatter(process_name)


def _escaped(match: re.Match[str]) -> str:
    character = match.group()
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character) or f"\\u{ord(character):04x}"


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return  # whoever pressed Ctrl-C knows
    logging.getLogger("signalbox").critical("the process ends: %s", error, exc_info=(kind, error, trace))


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        name = args.thread.name if args.thread else "?"
        info = (args.exc_type, args.exc_value, args.exc_traceback)
        logging.getLogger("signalbox").error("thread %s ended: %s", name, args.exc_value, exc_info=info)
