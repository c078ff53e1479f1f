"""CloudEvents over HTTP: the three modes in which they arrive (``cloudevents`` writes those in which they leave).

Structured is one JSON document, batched a list of them; in binary mode the attributes are ``ce-`` headers and the
body is the data as it is.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from webapp.domain.cloudevents import NO_DATA, PREFIX, STRUCTURED, is_json
from webapp.domain.errors import Fault, Refused
from webapp.domain.faults import CONTROL, pointer, refusal, shown
from webapp.domain.jsontext import parse_json

BATCHED = "application/cloudevents-batch+json"
MAX_BATCH = 1000

_FORMAT = re.compile(r"application/cloudevents(-batch)?(\+[a-z0-9.\-]+)?\s*(?:;.*)?", re.IGNORECASE)
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([A-Za-z0-9_.:\-]+)", re.IGNORECASE)
_TEXT = re.compile(
    r"text/.*|[^;]+[/+](?:xml|yaml|x-yaml|toml|csv)\b.*|application/(?:x-www-form-urlencoded|graphql|sql)\b.*", re.I
)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')

Read = tuple[dict[str, Any], Any]  # attributes and data


def mode_of(content_type: str, header_names: Mapping[str, Any] | set[str]) -> str | None:
    """``structured``, ``batched`` or ``binary``; None: this is no CloudEvent. Raises ``Refused`` (415) for another format."""
    match = _FORMAT.fullmatch(content_type.strip())
    if match is None:
        return "binary" if any(name.lower() == "ce-specversion" for name in header_names) else None
    if (match[2] or "+json").lower() != "+json" or _charset(content_type) not in ("", "utf-8", "utf8"):
        raise Refused(
            "unsupported-media-type",
            f"Of the formats of CloudEvents the hub reads JSON in UTF-8: {STRUCTURED}.",
            status=415,
        )
    return "batched" if match[1] else "structured"


def read_structured(document: Any, *, at: str = "") -> Read:
    """Attributes and data of one JSON document; ``at`` is the pointer to it in a batch."""
    if not isinstance(document, dict):
        fault = Fault(at, "wrong-type", "A CloudEvent is a JSON object with specversion, id, source and type.")
        raise refusal("invalid-event", "event", [fault])
    attrs = {name: value for name, value in document.items() if name not in ("data", "data_base64")}
    if document.get("data_base64") is None:
        return attrs, document.get("data", NO_DATA)
    if "data" in document:
        fault = Fault(f"{at}/data_base64", "conflict", "A CloudEvent has data or data_base64, not both.")
        raise refusal("invalid-event", "event", [fault])
    try:
        return attrs, b64decode(document["data_base64"], validate=True)
    except (Base64Error, TypeError, ValueError):
        fault = Fault(f"{at}/data_base64", "invalid-value", "data_base64 is bytes in base64 (RFC 4648).")
        raise refusal("invalid-event", "event", [fault]) from None


def read_batch(document: Any) -> list[Any]:
    """The documents of a batch, which may be empty."""
    if not isinstance(document, list):
        fault = Fault("", "wrong-type", "A batch is a JSON array of CloudEvents.")
        raise refusal("invalid-event", "batch", [fault])
    if len(document) > MAX_BATCH:
        raise Refused("payload-too-large", f"A batch may have {MAX_BATCH:,} events at most.", status=413)
    return document


def read_binary(headers: Mapping[str, str], content_type: str, body: bytes, *, max_depth: int = 32) -> Read:
    """Attributes and data of a request in binary mode. ``headers`` are decoded as Latin-1, as servers hand them over."""
    attrs: dict[str, Any] = {}
    faults: list[Fault] = []
    for header, value in headers.items():
        name = header.lower()
        if not name.startswith(PREFIX):
            continue
        if name == "ce-datacontenttype":
            faults.append(Fault(name, "not-allowed", "The type of the data is in the header Content-Type."))
        else:
            try:
                attrs[name.removeprefix(PREFIX)] = decode_header(value)
            except ValueError as error:
                faults.append(Fault(name, "invalid-character", f"{error} {shown(value)}"))
    if faults:
        raise refusal("invalid-event", "event", faults)
    if content_type.strip():
        attrs["datacontenttype"] = content_type.strip()
    return attrs, _data(content_type, body, max_depth)


def decode_header(value: str) -> str:
    """The text of a header: quotes first, then one round of percent-decoding. Raises ``ValueError``."""
    value = value.strip(" \t")
    if quoted := _QUOTED.fullmatch(value):
        value = re.sub(r"\\(.)", r"\1", quoted[1])
    try:
        text = unquote_to_bytes(value.encode("latin-1")).decode("utf-8")
    except UnicodeError:
        raise ValueError("This is not UTF-8, percent-encoded.") from None
    if CONTROL.search(text):
        raise ValueError("Control characters are not allowed here.")
    return text


def at_headers(refused: Refused) -> Refused:
    """The same refusal, pointing to headers instead of members."""
    faults = [
        Fault(_header_of(one.pointer), one.code, one.message) if one.pointer.startswith("/") else one
        for one in refused.faults
    ]
    return Refused(refused.slug, refused.detail, status=refused.status, title=refused.title, faults=faults)


def under(refused: Refused, index: int) -> Refused:
    """The same refusal, pointing into the batch."""
    faults = [Fault(pointer(index) + one.pointer, one.code, one.message) for one in refused.faults]
    faults = faults or [Fault(pointer(index), refused.slug, refused.detail)]
    return Refused(refused.slug, refused.detail, status=refused.status, title=refused.title, faults=faults)


def _data(content_type: str, body: bytes, max_depth: int) -> Any:
    if not body:
        return NO_DATA
    charset = _charset(content_type)
    if is_json(content_type or None):
        if charset not in ("", "utf-8", "utf8"):
            raise Refused("unsupported-media-type", "Send JSON as UTF-8.", status=415)
        return parse_json(body, max_depth=max_depth)
    if _TEXT.fullmatch(content_type.strip()) and charset in ("", "utf-8", "utf8", "us-ascii"):
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            return body
        return body if "\0" in text or text.startswith("\ufeff") else text
    return body


def _charset(content_type: str) -> str:
    found = _CHARSET.search(content_type)
    return found[1].lower() if found else ""


def _header_of(at: str) -> str:
    name = at.removeprefix("/")
    if name == "datacontenttype":
        return "content-type"
    return f"/{name}" if name.split("/")[0] == "data" else PREFIX + name
