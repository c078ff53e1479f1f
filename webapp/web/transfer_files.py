"""Files as answers: that of an export, the same for pages and for the API, and the refused lines of an import."""

from __future__ import annotations

from flask import Response

from webapp.domain.errors import NotFound
from webapp.domain.export_files import csv_header, csv_rows
from webapp.domain.exports import MEDIA_TYPES
from webapp.services import exports
from webapp.store import transfers
from webapp.web.auth import current_actor
from webapp.web.context import get_runtime

FAULT_COLUMNS = ("line", "message")


def file_answer(transfer_id: str) -> Response:
    """The file, piece by piece; never shown in the browser, whatever is in it."""
    row, stream = exports.fetch(get_runtime(), current_actor(), transfer_id)
    response = _attached(Response(stream, content_type=MEDIA_TYPES[row.format]), row.file_name)
    response.content_length = row.bytes
    return response


def faults_answer(transfer_id: str) -> Response:
    """What was wrong, by line, as CSV: all that is kept."""
    with get_runtime().db.read() as conn:
        row = transfers.get(conn, transfer_id)
        found = transfers.faults_of(conn, transfer_id, transfers.MAX_FAULTS)
    if row.direction != "import":
        raise NotFound("Only an import has lines that were refused.")
    text = csv_header(FAULT_COLUMNS) + csv_rows(found.rows, FAULT_COLUMNS)
    return _attached(Response(text, content_type=MEDIA_TYPES["csv"]), f"{row.id}-refused.csv")


def _attached(response: Response, name: str) -> Response:
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "private, no-store"
    return response
