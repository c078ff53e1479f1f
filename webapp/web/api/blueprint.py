"""What every resource of the API shares: the blueprint, the JSON answer, pages of lists, and how a view is described.

``@operation`` only leaves notes on the view; ``openapi.py`` gathers them, so a description cannot stray from its route.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, TypeVar
from urllib.parse import urlencode

import orjson
from flask import Blueprint, Response, request

from webapp.store.api_feeds import Cursor, Slice
from webapp.web.context import get_runtime
from webapp.web.requests import JSON, Param, instant_of, number_of

bp = Blueprint("api", __name__, url_prefix="/api/v1")
View = TypeVar("View", bound=Callable[..., Any])

OPERATION = "operation"
TAKES_KEY = "takes_key"  # of a view that takes an Idempotency-Key: see ``once``
SIGNATURE_BYTES = 9
DEFAULT_LIMIT, MAX_LIMIT = 50, 200


@dataclass(frozen=True, slots=True)
class Operation:
    """What the description of the API says about one view."""

    summary: str
    tag: str
    answers: Mapping[int, str | None]  # status -> name of a schema, None: no body
    query: Sequence[Param] = ()
    body: str | None = None  # name of a schema
    problems: Sequence[int] = ()
    headers: Sequence[str] = ()  # request headers that matter
    description: str = ""
    body_required: bool = True
    body_types: Mapping[str, str] = field(default_factory=dict)  # other types of the body, each with a word on it
    content_type: str = JSON
    extra: dict[str, Any] = field(default_factory=dict)


def operation(summary: str, tag: str, answers: Mapping[int, str | None], **more: Any) -> Callable[[View], View]:
    """Describe a view."""

    def mark(view: View) -> View:
        note = Operation(summary, tag, answers, **more)
        if hasattr(view, TAKES_KEY):
            headers, problems = (*note.headers, "Idempotency-Key"), {*note.problems, 409, 422}
            note = replace(note, headers=headers, problems=sorted(problems))
        setattr(view, OPERATION, note)
        return view

    return mark


def answer(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Compact JSON, characters as they are."""
    return Response(orjson.dumps(document), status, headers, content_type=JSON)


# Pages of lists


def _read_cursor(text: str) -> Cursor:
    """A cursor that this hub made. Anything else is refused, so that nobody comes to rely on its insides."""
    try:
        raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        content, signature = raw[:-SIGNATURE_BYTES], raw[-SIGNATURE_BYTES:]
        if not hmac.compare_digest(_sign(content), signature):
            raise ValueError
        direction, _, row_id = content.decode("ascii").partition(":")
    except (Base64Error, UnicodeError, ValueError):
        raise ValueError("This is not a cursor of this hub; begin again without it.") from None
    return Cursor(row_id, newer=direction == "newer")


def _write_cursor(cursor: Cursor) -> str:
    content = f"{'newer' if cursor.newer else 'older'}:{cursor.id}".encode("ascii")
    return urlsafe_b64encode(content + _sign(content)).decode().rstrip("=")


def _sign(content: bytes) -> bytes:
    secret = get_runtime().settings.secret_key.encode()
    return hmac.new(secret, b"cursor:" + request.path.encode() + b":" + content, sha256).digest()[:SIGNATURE_BYTES]


LIMIT = Param(
    "limit",
    number_of(1, MAX_LIMIT),
    "How many to answer at most.",
    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
    DEFAULT_LIMIT,
)
CURSOR = Param("cursor", _read_cursor, "Where to go on: next_cursor or prev_cursor of an answer.")
SINCE = Param("since", instant_of, "Not before this time (RFC 3339).", {"type": "string", "format": "date-time"})
UNTIL = Param("until", instant_of, "Before this time (RFC 3339).", {"type": "string", "format": "date-time"})


def answer_page(found: Slice, show: Callable[[Any], Any]) -> Response:
    """``{data, next_cursor, prev_cursor, has_more}`` and a ``Link`` header (RFC 8288)."""
    cursors = {
        rel: None if cursor is None else _write_cursor(cursor)
        for rel, cursor in (("next", found.next), ("prev", found.prev))
    }
    document = {
        "data": [show(row) for row in found.rows],
        "next_cursor": cursors["next"],
        "prev_cursor": cursors["prev"],
        "has_more": found.next is not None,
    }
    links = [f'<{_with_cursor(cursor)}>; rel="{rel}"' for rel, cursor in cursors.items() if cursor is not None]
    return answer(document, headers={"Link": ", ".join(links)} if links else None)


def _with_cursor(cursor: str) -> str:
    kept = {name: value for name, value in request.args.items() if name != "cursor"}
    return f"{request.path}?{urlencode({**kept, 'cursor': cursor})}"
