"""Reading what was sent, strictly: JSON bodies, query parameters, forms. What is not expected is refused, not ignored."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import unquote_to_bytes

from flask import Request, request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]
from werkzeug.http import parse_options_header

from webapp.domain.errors import Fault, Refused
from webapp.domain.instants import parse_instant
from webapp.domain.jsontext import parse_json
from webapp.web.context import get_runtime
from webapp.web.security import csrf
from webapp.web.uploads import FileTooLarge, file_limit, room_for_file

JSON = "application/json"
NDJSON = "application/x-ndjson"
ENCODINGS = ("", "identity", "gzip", "x-gzip")
GZIP, GZIP_MEMBERS = 16 + zlib.MAX_WBITS, 16
FORM = "application/x-www-form-urlencoded"
UTF8 = frozenset({"", "utf-8", "utf8"})
MAX_FIELDS = 800  # a condition of 64 rows has that many
LONGEST_PARAMETER = 500


# JSON


def read_json() -> Any:
    """The parsed body. Raises ``Refused``: 415 for another type or encoding, 413, 400 and 422 for the content."""
    settings = get_runtime().settings
    return parse_json(read_body(settings.max_body_bytes), max_depth=settings.max_json_depth)


def read_body(limit: int, kinds: Sequence[str] = (JSON,)) -> bytes:
    """The body of a request of one of these types, never more than the limit; a chunked one is counted while it is read.

    A compressed one is inflated up to the same limit and no further, whatever it would become.
    """
    asked: Request = request._get_current_object()  # type: ignore[attr-defined]
    environ = asked.environ
    kind = environ.get("CONTENT_TYPE", "")
    if kind not in kinds:
        _check_media_type(kind, kinds)
    encoding = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding not in ENCODINGS:
        detail = "Send the body as it is, or with Content-Encoding: gzip."
        raise Refused("unsupported-content-encoding", detail, status=415)
    if (asked.content_length or 0) > limit:
        raise too_large(limit)
    body = read_raw(asked, limit)
    if len(body) > limit:  # chunked: Werkzeug stops reading one byte behind the limit, without a word
        raise too_large(limit)
    return body if encoding in ("", "identity") else inflated(body, limit)


def read_raw(asked: Request, limit: int, *, cache: bool = False) -> bytes:
    """The body as it came, cut off one byte behind the limit. Raises ``Refused`` (400) when the sender broke off."""
    if asked.max_content_length != limit + 1:
        asked.max_content_length = limit + 1
    try:
        body = asked.get_data(cache=cache)
    except (OSError, ParseException):
        raise _broken_off() from None
    if len(body) < (asked.content_length or 0):  # what came may look whole, and be the beginning of something else
        raise _broken_off()
    return body


def _broken_off() -> Refused:
    return Refused("bad-request", "The body ends too early, or its chunks are broken.", status=400)


def too_large(limit: int) -> Refused:
    """The refusal of a body over the limit."""
    return Refused("payload-too-large", f"The body may have {limit} bytes at most.", status=413)


def inflated(body: bytes, limit: int) -> bytes:
    """What gzip packed, which may be a few members one after the other. Stops one byte behind the limit."""
    plain = bytearray()
    try:
        for _ in range(GZIP_MEMBERS):
            stream = zlib.decompressobj(GZIP)
            plain += stream.decompress(body, limit + 1 - len(plain))
            if len(plain) > limit:
                raise too_large(limit)
            if not stream.eof:
                raise _not_gzip("ends too early")
            body = stream.unused_data
            if not body:
                return bytes(plain)
    except zlib.error:
        pass
    raise _not_gzip("is not gzip")


def _not_gzip(what: str) -> Refused:
    return Refused("invalid-content-encoding", f"The body {what}, though its Content-Encoding says gzip.", status=400)


def _check_media_type(kind: str, kinds: Sequence[str]) -> None:
    mimetype, options = parse_options_header(kind)
    if mimetype.lower() not in kinds or options.get("charset", "").lower() not in UTF8:
        detail = f"Send 'Content-Type: {' or '.join(kinds)}' with UTF-8."
        raise Refused("unsupported-media-type", detail, status=415)


# Query parameters


@dataclass(frozen=True, slots=True)
class Param:
    """One query parameter: how it is read, and how the API description tells of it."""

    name: str
    read: Callable[[str], Any]
    about: str
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "string"})
    default: Any = None


def read_query(*params: Param) -> dict[str, Any]:
    """Every parameter by name, defaults filled in. Unknown, repeated and unusable ones are named in one ``Refused``."""
    values = {param.name: param.default for param in params}
    if not request.query_string:
        return values
    known, faults = {param.name: param for param in params}, []
    for name, texts in request.args.lists():
        param = known.get(name)
        if param is None:
            faults.append(_fault(name, "unknown", f"There is no parameter of this name; known: {_names(known)}."))
        elif len(texts) > 1:
            faults.append(_fault(name, "repeated", "Send this parameter once."))
        else:
            try:
                values[name] = param.read(_clean(texts[0]))
            except ValueError as error:
                faults.append(_fault(name, "invalid", str(error)))
    if faults:
        raise Refused("invalid-parameter", faults[0].message, status=400, faults=faults[:20])
    return values


def _fault(name: str, code: str, message: str) -> Fault:
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name[:40])
    return Fault(f"?{shown}", code, f"{shown}: {message}")


def _names(known: dict[str, Param]) -> str:
    return ", ".join(sorted(known)) or "none"


def _clean(text: str) -> str:
    if len(text) > LONGEST_PARAMETER:
        raise ValueError(f"Use at most {LONGEST_PARAMETER} characters.")
    if not text or not text.isprintable() or "\N{REPLACEMENT CHARACTER}" in text:
        raise ValueError("Use printable characters, and at least one.")
    return text


def text_of(text: str) -> str:
    """Any text."""
    return text


def instant_of(text: str) -> datetime:
    """RFC 3339 with an offset. A plus sign that came as a space is read as the plus sign it was meant to be."""
    try:
        return parse_instant(text.replace(" ", "+") if text.count(" ") == 1 and "+" not in text else text)
    except ValueError:
        raise ValueError("Use RFC 3339 with an offset, such as 2026-03-02T12:00:00Z.") from None


def choice_of(*allowed: str) -> Callable[[str], str]:
    """One of these words."""

    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"Choose one of {', '.join(allowed)}.")
        return text

    return read


def number_of(least: int, most: int) -> Callable[[str], int]:
    """A whole number between the two."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
            raise ValueError(f"Use a whole number from {least} to {most}.")
        return int(text)

    return read


# Forms


def check_request(of_machine: bool) -> None:
    """What no page of ours sends: from elsewhere, without our token, with files, floods of fields, bytes that are no text."""
    if "\x00" in request.path:  # PostgreSQL takes no NUL, not even to compare with
        raise Refused("invalid-character", "An address holds no NUL.", status=400)
    if of_machine:
        return
    if b"%00" in request.query_string:
        raise _bad_character()
    if request.method not in ("GET", "HEAD", "OPTIONS"):
        _check_form()
        csrf.protect()


def _check_form() -> None:
    if request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):  # a second lock beside the token
        raise Refused("csrf-failed", "This form was sent from another site.", status=403)
    asked: Request = request._get_current_object()  # type: ignore[attr-defined]
    limit, room = get_runtime().settings.max_body_bytes, room_for_file(asked)
    body = read_raw(asked, room or limit, cache=True)
    if room and len(body) > room:
        raise FileTooLarge(file_limit())
    if request.mimetype == FORM:
        _check_urlencoded(body, limit)
    if request.files and not room:
        raise Refused("unexpected-file", "This form of the hub takes no file.", status=400)
    fields = list(request.form.items(multi=True))
    if len(fields) > MAX_FIELDS:
        raise _too_many()
    if any("\x00" in name or "\x00" in value for name, value in fields):
        raise _bad_character()


def read_form(*names: str) -> dict[str, str]:
    """These fields of the form, "" for those that were not sent. A field that was sent twice is refused."""
    values = {}
    for name in names:
        sent = request.form.getlist(name)
        if len(sent) > 1:
            raise Refused("duplicate-field", f"The field {name} was sent twice.", status=400)
        values[name] = sent[0] if sent else ""
    return values


def _check_urlencoded(body: bytes, limit: int) -> None:
    if len(body) > limit:
        raise too_large(limit)
    if body.count(b"&") >= MAX_FIELDS:
        raise _too_many()
    try:
        unquote_to_bytes(body).decode("utf-8")
    except UnicodeDecodeError:
        raise _bad_character() from None


def _too_many() -> Refused:
    return Refused("too-many-fields", f"The form may have {MAX_FIELDS} fields at most.", status=400)


def _bad_character() -> Refused:
    return Refused("invalid-character", "The form holds bytes that are not UTF-8 text, or a NUL.")
