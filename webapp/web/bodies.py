"""Bodies of any type, for doors that take what others send: never more than the limit, never compressed."""

from __future__ import annotations

from flask import Request, request

from webapp.domain.errors import Refused
from webapp.web.requests import read_raw, too_large


def read_bytes(limit: int) -> bytes:
    """The body as it was sent. Raises ``Refused``: 400, 413 or 415."""
    asked: Request = request._get_current_object()  # type: ignore[attr-defined]
    if asked.headers.get("Content-Encoding", "").strip().lower() not in ("", "identity"):
        raise Refused("unsupported-content-encoding", "Send the body uncompressed.", status=415)
    if (asked.content_length or 0) > limit:
        raise too_large(limit)
    body = read_raw(asked, limit)
    if len(body) > limit:  # chunked: it is cut off there, without a word
        raise too_large(limit)
    return body
