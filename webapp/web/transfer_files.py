"""The file of an export as an answer, the same for pages and for the API."""

from __future__ import annotations

from flask import Response

from webapp.domain.exports import MEDIA_TYPES
from webapp.services import exports
from webapp.web.auth import current_actor
from webapp.web.context import get_runtime


def file_answer(transfer_id: str) -> Response:
    """The file, piece by piece; never shown in the browser, whatever is in it."""
    row, stream = exports.fetch(get_runtime(), current_actor(), transfer_id)
    response = Response(stream, content_type=MEDIA_TYPES[row.format])
    response.headers["Content-Disposition"] = f'attachment; filename="{row.file_name}"'
    response.headers["Cache-Control"] = "private, no-store"
    response.content_length = row.bytes
    return response
