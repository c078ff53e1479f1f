"""The door for files: a view that says ``@takes_file`` has a form with one. Every other form that holds a file is refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from flask import Request, current_app
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]
from werkzeug.exceptions import BadRequest

from webapp.domain.errors import Refused
from webapp.web.context import get_runtime
from webapp.web.filters import size

View = TypeVar("View", bound=Callable[..., Any])
TAKES_FILE = "takes_file"
MULTIPART = "multipart/form-data"
ENVELOPE = 64 * 1024  # what a form has around its file: boundaries, headers of parts, the token
DRAINED = 64 * 1024 * 1024
CHUNK = 64 * 1024


class FileTooLarge(Refused):
    """What was sent is larger than any file may be. The blueprint of the form shows it beside the field."""

    def __init__(self, limit: int) -> None:
        detail = f"The file may have {size(limit)} at most. Send it in parts: what is known already is skipped."
        super().__init__("payload-too-large", detail, status=413)


def takes_file(view: View) -> View:
    """Declare that the form of a view holds a file, which may be as large as a batch of events."""
    setattr(view, TAKES_FILE, True)
    return view


def file_limit() -> int:
    """Bytes of a file."""
    return get_runtime().settings.max_batch_bytes


def room_for_file(asked: Request) -> int:
    """How long this form may be, file and all; 0 where no file belongs. Raises ``FileTooLarge``."""
    view = current_app.view_functions.get(asked.endpoint or "")
    if not getattr(view, TAKES_FILE, False) or asked.mimetype != MULTIPART:
        return 0
    room = file_limit() + ENVELOPE
    if (asked.content_length or 0) > room:
        _drain(asked)
        raise FileTooLarge(file_limit())
    asked.max_form_memory_size = room  # a text may be pasted in place of the file
    return room


def _drain(asked: Request) -> None:
    """Read what is not kept, within reason: browsers show no answer to a form that they could not send to its end."""
    asked.max_content_length = DRAINED
    if (asked.content_length or 0) > DRAINED:
        return
    with suppress(OSError, ParseException, BadRequest):
        while asked.stream.read(CHUNK):
            pass
