"""Inbound sources: what may be said of one. Pure; how each kind is verified is ``signatures``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from webapp.domain import consumed
from webapp.domain.consumed import CONSUMED
from webapp.domain.errors import Fault
from webapp.domain.faults import CONTROL, pointer, refusal, shown, unknown_fields
from webapp.domain.names import read_name
from webapp.domain.signatures import ALGORITHMS, ENCODINGS, PUBLIC_KEY, TIMED, TOLERANCE_S, UNSIGNED, public_key
from webapp.domain.signatures import KINDS as VERIFIED
from webapp.domain.sourcemaps import FIELDS as TEMPLATES
from webapp.domain.sourcemaps import PRESETS as OF_REQUESTS
from webapp.domain.sourcemaps import check_template

KINDS = (*VERIFIED, *CONSUMED)  # of those at an address, and of those that are consumed
PRESETS: Mapping[str, Mapping[str, str]] = {**OF_REQUESTS, **consumed.PRESETS}
FIELDS = ("name", "kind", "event_source", "options", "mapping", "secret")
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "hmac": ("header", "algorithm", "encoding", "prefix", "timestamp_header", "tolerance_s"),
    "basic": ("user",),
    **dict.fromkeys(TIMED, ("tolerance_s",)),
    **consumed.OPTIONS,
}
SECRET_CHARS = (8, 500)
THEIRS = frozenset({"stripe", "slack", *CONSUMED})  # the other side makes the secret
NEVER_SIGNATURES = frozenset({"authorization", "cookie", "host", "content-length", "content-type"})

_HEADER = re.compile(r"[A-Za-z0-9\-]{1,80}")
_SOURCE = re.compile(r"[\x21-\x7e]{1,200}")
_NOT_IN_SOURCES = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True, repr=False)
class SourceDraft:
    """A valid source. ``secret`` is None when none was given; ``mapping`` has only what differs from the preset."""

    name: str
    kind: str
    event_source: str
    options: dict[str, Any] = field(default_factory=dict)
    mapping: dict[str, str] = field(default_factory=dict)
    secret: str | None = None


def parse_source(document: Any, kind: str | None = None) -> SourceDraft:
    """The source that ``document`` describes; ``kind`` is that of one that exists. Raises ``Refused`` with every fault."""
    if not isinstance(document, dict):
        fault = Fault("", "wrong-type", "A source is a JSON object with a name and a kind.")
        raise refusal("invalid-source", "source", [fault])
    faults = unknown_fields("A source", document, FIELDS)
    name = read_name(document.get("name"), faults)
    chosen = _kind(document.get("kind"), kind, faults)
    draft = SourceDraft(
        name=name,
        kind=chosen,
        event_source=_event_source(document.get("event_source"), name, chosen, faults),
        options=_options(document.get("options"), chosen, faults),
        mapping=_mapping(document.get("mapping"), chosen, faults),
        secret=read_secret(document.get("secret"), chosen, faults),
    )
    if faults:
        raise refusal("invalid-source", "source", faults)
    return draft


def templates_of(kind: str, mapping: Mapping[str, str]) -> dict[str, str]:
    """The templates in force: the preset of the kind, and what the source has instead."""
    return {**PRESETS[kind], **mapping}


def read_secret(value: Any, kind: str, faults: list[Fault]) -> str | None:
    """The secret, or None for none. What is wrong with it is added, at ``/secret``; it is never shown."""
    if value is None or value == "":
        return None
    problem = _wrong_secret(value, kind)
    if problem:
        faults.append(Fault("/secret", "invalid-secret", problem))
        return None
    return str(value)


def _wrong_secret(value: Any, kind: str) -> str | None:
    least, most = (1, SECRET_CHARS[1]) if kind in CONSUMED else SECRET_CHARS
    if kind in UNSIGNED:
        return "A source of this kind has no secret: its address is what cannot be guessed."
    if not isinstance(value, str) or not least <= len(value) <= most or CONTROL.search(value):
        return f"A secret has {least} to {most} characters, on one line."
    if kind == "standard" and value.startswith(PUBLIC_KEY):
        try:
            public_key(value)
        except ValueError:
            return "This is no public key: whpk_ and 32 bytes in base64."
    return None


def _kind(value: Any, kept: str | None, faults: list[Fault]) -> str:
    if kept is not None:
        if value not in (None, kept):
            faults.append(Fault("/kind", "unchangeable", "The kind of a source stays; make another source."))
        return kept
    if value not in KINDS:
        faults.append(Fault("/kind", "unknown-choice", f"Choose one of {', '.join(KINDS)}."))
        return "none"
    return str(value)


def _event_source(value: Any, name: str, kind: str, faults: list[Fault]) -> str:
    if value is None or value == "":
        of_name = _NOT_IN_SOURCES.sub("-", name.lower()).strip("-")
        return of_name or kind
    if not isinstance(value, str) or not _SOURCE.fullmatch(value):
        message = "The source of its events has 1 to 200 printable characters and no spaces."
        faults.append(Fault("/event_source", "invalid-value", message))
        return kind
    return value


def _options(value: Any, kind: str, faults: list[Fault]) -> dict[str, Any]:
    given = value or {}
    if not isinstance(given, dict):
        faults.append(Fault("/options", "wrong-type", "Options are an object."))
        return {}
    allowed = OPTIONS.get(kind, ())
    for key in given:
        if key not in allowed:
            message = f"The kind {kind} has no option {shown(key)!r}."
            faults.append(Fault(pointer("options", key), "unknown-field", message))
    options = {key: given[key] for key in allowed if given.get(key) not in (None, "")}
    if kind == "hmac":
        options = {"algorithm": "sha256", "encoding": "hex", **options}
        _check_hmac(options, faults)
    if kind in CONSUMED:
        consumed.check_options(kind, options, faults)
        return options
    if kind == "basic":
        _check_user(options.get("user"), faults)
    _check_tolerance(options.get("tolerance_s", TOLERANCE_S), faults)
    return options


def _check_hmac(options: dict[str, Any], faults: list[Fault]) -> None:
    for key, required in (("header", True), ("timestamp_header", False)):
        value = options.get(key)
        if value is None and not required:
            continue
        if not isinstance(value, str) or not _HEADER.fullmatch(value) or value.lower() in NEVER_SIGNATURES:
            message = "Name a header of letters, digits and hyphens, such as X-Signature."
            faults.append(Fault(pointer("options", key), "invalid-value", message))
    for key, choices in (("algorithm", ALGORITHMS), ("encoding", ENCODINGS)):
        if options[key] not in choices:
            faults.append(Fault(pointer("options", key), "unknown-choice", f"Choose one of {', '.join(choices)}."))
    prefix = options.get("prefix", "")
    if not isinstance(prefix, str) or len(prefix) > 40 or not prefix.isprintable():
        faults.append(Fault("/options/prefix", "invalid-value", "A prefix has 40 printable characters at most."))


def _check_user(user: Any, faults: list[Fault]) -> None:
    if not isinstance(user, str) or not 1 <= len(user) <= 100 or ":" in user or CONTROL.search(user):
        faults.append(Fault("/options/user", "invalid-value", "A user has 1 to 100 characters and no colon."))


def _check_tolerance(value: Any, faults: list[Fault]) -> None:
    if type(value) is not int or not 10 <= value <= 3600:
        message = "Between 10 and 3600 whole seconds."
        faults.append(Fault("/options/tolerance_s", "out-of-range", message))


def _mapping(value: Any, kind: str, faults: list[Fault]) -> dict[str, str]:
    given = value or {}
    if not isinstance(given, dict):
        faults.append(Fault("/mapping", "wrong-type", "The mapping is an object of templates."))
        return {}
    mapping = {}
    for key, template in given.items():
        at = pointer("mapping", key)
        if key not in TEMPLATES:
            faults.append(Fault(at, "unknown-field", f"There are templates for {', '.join(TEMPLATES)}."))
        elif template is not None and not isinstance(template, str):
            faults.append(Fault(at, "wrong-type", "A template is text."))
        elif problem := check_template(template or ""):
            faults.append(Fault(at, "invalid-template", problem))
        elif template is not None and template.strip() != PRESETS[kind][key]:
            mapping[key] = template.strip()
    if kind != "publish" and mapping.get("type") == "":
        del mapping["type"]  # an event has a type: empty means the preset
    return mapping
