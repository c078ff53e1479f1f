"""The form that imports events from a file, or from lines that are pasted."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for

from webapp.domain.errors import Conflict, Refused
from webapp.services import imports
from webapp.web import render
from webapp.web.answers import done
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.filters import size
from webapp.web.pages.submit_form import default_source
from webapp.web.requests import inflated, read_form
from webapp.web.uploads import FileTooLarge, file_limit, takes_file

bp = Blueprint("transfer_imports", __name__, url_prefix="/transfers/import")

FILE, LINES = "file", "lines"  # the fields
GZIP_MAGIC = b"\x1f\x8b"


class Unusable(Refused):
    """What stands in a field cannot be imported."""

    def __init__(self, field: str, detail: str, status: int = 422) -> None:
        super().__init__("invalid-import", detail, status=status)
        self.field = field


@bp.get("")
@require("publish")
def new() -> Response:
    """The form."""
    return _form()


@bp.post("")
@require("publish")
@takes_file
def create() -> Response:
    """Keep what was sent and begin, or show what is wrong beside its field."""
    pasted = read_form(LINES)[LINES]
    try:
        field, body, name = _sent(pasted)
    except Unusable as error:
        return _form(pasted, {error.field: error.detail}, error.status)
    actor = current_actor()
    try:
        made = imports.start(get_runtime(), actor, body, default_source(actor), name)
    except Refused as refused:
        return _form(pasted, {field: refused.detail}, refused.status)
    except Conflict as busy:
        return _form(pasted, {"": busy.detail}, busy.status)
    there = url_for("transfers.show", transfer_id=made)
    return done("The events are coming in", back=there, go=there)


@bp.errorhandler(FileTooLarge)
def show_too_large(error: FileTooLarge) -> Response:
    """The whole form was too large to be read, so nothing of it is known."""
    return _form(errors={FILE: error.detail}, status=error.status)


def _sent(pasted: str) -> tuple[str, bytes, str]:
    """The field that was used, its bytes, and what the file is called. Raises ``Unusable``."""
    files = [one for one in request.files.getlist(FILE) if one.filename]
    if len(files) > 1 or (files and pasted.strip()):
        raise Unusable(FILE, "Choose one file, or paste lines; not both.")
    if not files and not pasted.strip():
        raise Unusable(FILE, "Choose a file, or paste lines below.")
    if files:
        return FILE, _unpacked(files[0].stream.read()), files[0].filename or ""
    body = pasted.replace("\r\n", "\n").encode()  # CRLF is the browser's; the same lines, the same digest
    if len(body) > file_limit():
        raise Unusable(LINES, f"{size(file_limit())} can be imported at a time.", 413)
    return LINES, body, ""


def _unpacked(body: bytes) -> bytes:
    limit = file_limit()
    if len(body) > limit:
        raise Unusable(FILE, FileTooLarge(limit).detail, 413)
    if not body.startswith(GZIP_MAGIC):
        return body
    try:
        return inflated(body, limit)
    except Refused as refused:
        if refused.status == FileTooLarge(limit).status:
            raise Unusable(FILE, f"Unpacked, the file may have {size(limit)} at most.", refused.status) from None
        raise Unusable(FILE, "This gzip file is broken, or ends too early.") from None


def _form(pasted: str = "", errors: dict[str, str] | None = None, status: int = 200) -> Response:
    return render.part(
        "transfers/import.html",
        status=status,
        pasted=pasted,
        errors=errors or {},
        limit=file_limit(),
        source=default_source(current_actor()),
    )
