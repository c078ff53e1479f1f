"""A request that came to the address of a source: verified, mapped, accepted, and written down with its verdict.

The token of the address is never written down, nor is any header that could let somebody in.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from webapp.domain.access import Actor
from webapp.domain.cloudevents import draft_of_cloudevent
from webapp.domain.cloudevents_http import at_headers, mode_of, read_binary, read_structured
from webapp.domain.consumed import CONSUMED
from webapp.domain.errors import Forbidden, HubError, NotFound, Refused, Unauthenticated
from webapp.domain.events import EventDraft, parse_event
from webapp.domain.jsontext import parse_json
from webapp.domain.signatures import NotGenuine, Signed, verify
from webapp.domain.sourcemaps import Request, document_of, fields_of, payload_of, read_body, read_loosely
from webapp.domain.sources import templates_of
from webapp.runtime import Runtime
from webapp.services.accept import Accepted, Acceptor
from webapp.services.notify import notify
from webapp.services.sources import secrets_of
from webapp.store import sources

log = logging.getLogger(__name__)

TOKEN_CHARS = 64
KEPT_BODY = 2_000  # characters
KEPT_HEADERS, HEADER_CHARS = 40, 200
REASON_CHARS = 300
HIDDEN = "(hidden)"
DIALECTS = frozenset({"github", "stripe", "slack"})  # whose bodies are no CloudEvents

_CREDENTIAL = re.compile(r"auth|cookie|secret|signature|token|password|passwd|api-?key|session", re.IGNORECASE)


@dataclass(frozen=True, slots=True, repr=False)
class Arrival:
    """What came in. Names of headers are in lower case; ``query`` has every parameter, in order."""

    headers: Mapping[str, str]
    body: bytes
    query: list[tuple[str, str]] = field(default_factory=list)
    ip: str = ""
    request_id: str = ""

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of it. ``challenge`` is the text that Slack wants to hear back; then there is no event."""

    kind: str
    accepted: Accepted | None = None
    challenge: str | None = None


MayNote = Callable[[str], bool]  # whether a refused request of this source may be written down


def find_source(rt: Runtime, token: str, *, publish: bool) -> Any:
    """The source of an address. Raises ``NotFound``; the addresses of the two doors are not exchangeable."""
    row = None
    if len(token) <= TOKEN_CHARS and token.isascii():
        with rt.db.read() as conn:
            row = sources.find_by_token(conn, token)
    if row is None or row.kind in CONSUMED or (row.kind == "publish") != publish:
        raise NotFound("There is no source at this address.")
    return row


def receive(rt: Runtime, acceptor: Acceptor, row: Any, arrival: Arrival, may_note: MayNote) -> Taken:
    """Verify, map and accept. Raises ``HubError``; also what is refused is written down, within bounds."""
    return _judged(rt, row, arrival, may_note, lambda: _receive(rt, acceptor, row, arrival))


def publish(rt: Runtime, acceptor: Acceptor, row: Any, event_type: str, arrival: Arrival, may_note: MayNote) -> Taken:
    """Accept what somebody sent to a publishing address: the body, and the parameters it has not."""
    return _judged(rt, row, arrival, may_note, lambda: _publish(rt, acceptor, row, event_type, arrival))


def refuse_body(rt: Runtime, row: Any, arrival: Arrival, refused: HubError, may_note: MayNote) -> None:
    """Write down a request whose body could not even be read (too large, compressed)."""
    if may_note(row.id):
        _keep(rt, row, arrival, "rejected", refused.status, reason=refused.detail)


def _judged(rt: Runtime, row: Any, arrival: Arrival, may_note: MayNote, take: Callable[[], Taken]) -> Taken:
    try:
        taken = take()
    except HubError as refused:
        if may_note(row.id):
            _keep(rt, row, arrival, "rejected", refused.status, reason=why(refused))
            _warn(rt, row, why(refused))
        raise
    accepted = taken.accepted
    if accepted is None:
        _keep(rt, row, arrival, "ignored", 200, reason="Slack asked whether this address answers; it did.")
    else:
        verdict = "duplicate" if accepted.duplicate else "accepted"
        _keep(rt, row, arrival, verdict, 202, uid=accepted.uid)
    return taken


def _receive(rt: Runtime, acceptor: Acceptor, row: Any, arrival: Arrival) -> Taken:
    _check_enabled(row)
    try:
        verify(row.kind, Signed(arrival.headers, arrival.body, row.options), secrets_of(rt, row), rt.clock())
    except NotGenuine as reason:
        raise Unauthenticated(str(reason)) from None
    if draft := cloudevent_of(rt, row, arrival):
        return Taken(row.kind, acceptor.accept(draft, _actor(row, arrival)))
    body = read_body(row.kind, arrival.content_type, arrival.body, max_depth=rt.settings.max_json_depth)
    if row.kind == "slack" and isinstance(body, dict) and body.get("type") == "url_verification":
        return Taken(row.kind, challenge=str(body.get("challenge", ""))[:500])
    request = Request(arrival.headers, row.event_source, body, dict(reversed(arrival.query)))
    document = document_of(request, templates_of(row.kind, row.mapping))
    if "id" not in document and (replayed := _id_of_signature(row, arrival)):
        document["id"] = replayed
    return Taken(row.kind, _accept(rt, acceptor, row, document, arrival))


def _publish(rt: Runtime, acceptor: Acceptor, row: Any, event_type: str, arrival: Arrival) -> Taken:
    _check_enabled(row)
    body = payload_of(read_loosely(arrival.content_type, arrival.body, max_depth=rt.settings.max_json_depth))
    document = {"type": event_type, "source": row.event_source, "payload": {**fields_of(arrival.query), **body}}
    return Taken(row.kind, _accept(rt, acceptor, row, document, arrival))


def _accept(rt: Runtime, acceptor: Acceptor, row: Any, document: dict[str, Any], arrival: Arrival) -> Accepted:
    draft = parse_event(document, default_source=row.event_source, now=rt.clock())
    return acceptor.accept(draft, _actor(row, arrival))


def _actor(row: Any, arrival: Arrival) -> Actor:
    return Actor("system", row.id, row.name, "publisher", arrival.ip, arrival.request_id)


def cloudevent_of(rt: Runtime, row: Any, arrival: Arrival) -> EventDraft | None:
    """The event of a CloudEvent, unless the source has a dialect or templates of its own."""
    mode = None if row.kind in DIALECTS or row.mapping else mode_of(arrival.content_type, set(arrival.headers))
    depth = rt.settings.max_json_depth
    if mode == "batched":
        raise Refused("unsupported-media-type", "Send batches to /api/v1/cloudevents, with an API key.", status=415)
    if mode == "structured":
        return draft_of_cloudevent(*read_structured(parse_json(arrival.body, max_depth=depth)), rt.clock())
    if mode is None:
        return None
    try:
        read = read_binary(arrival.headers, arrival.content_type, arrival.body, max_depth=depth)
        return draft_of_cloudevent(*read, rt.clock())
    except Refused as refused:
        raise at_headers(refused) from None


def _check_enabled(row: Any) -> None:
    if row.disabled_at is not None:
        raise Forbidden("This source is disabled.")


def _id_of_signature(row: Any, arrival: Arrival) -> str | None:
    """An id for what is signed with its time but has no id: the same request again is a duplicate, another is not."""
    if row.kind != "hmac" or "timestamp_header" not in row.options:
        return None
    signature = arrival.headers.get(row.options["header"].lower(), "").strip().lower()
    time = arrival.headers.get(row.options["timestamp_header"].lower(), "").strip()
    return f"sig:{sha256(f'{time}.{signature}'.encode()).hexdigest()[:40]}"


def _keep(
    rt: Runtime,
    row: Any,
    arrival: Arrival,
    verdict: str,
    status: int,
    *,
    reason: str | None = None,
    uid: str | None = None,
) -> None:
    kept = note_of(rt, row, arrival, verdict, status, reason=reason, uid=uid)
    try:
        with rt.db.write() as conn:
            sources.keep_request(conn, kept)
    except HubError as error:  # the event matters more than the note about its request
        log.warning("a request of %s was not kept: %s", row.id, error.detail, extra={"action": "request_not_kept"})


def _warn(rt: Runtime, row: Any, reason: str) -> None:
    title, link = f"{row.name} rejects what comes", f"/sources/{row.id}"
    try:
        notify(
            rt, "warning", title, _clean(reason), kind="source_rejecting", link=link, dedupe_key=f"rejecting:{row.id}"
        )
    except HubError as error:
        log.warning("nobody could be told that %s rejects: %s", row.id, error, extra={"action": "notice_lost"})


def note_of(
    rt: Runtime,
    row: Any,
    arrival: Arrival,
    verdict: str,
    status: int,
    *,
    reason: str | None = None,
    uid: str | None = None,
) -> dict[str, Any]:
    """What is written down of a request."""
    return {
        "id": rt.new_id("req"),
        "source_id": row.id,
        "at": rt.clock(),
        "ip": arrival.ip,
        "verdict": verdict,
        "status": status,
        "reason": _clean(reason)[:REASON_CHARS] if reason else None,
        "headers": shown_headers(arrival.headers),
        "body": _clean(arrival.body[: KEPT_BODY * 4].decode("utf-8", "replace"))[:KEPT_BODY],
        "event_uid": uid,
    }


def shown_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers without what could let somebody in, and none of them long."""
    return {
        _clean(name)[:80]: HIDDEN if _CREDENTIAL.search(name) else _clean(value)[:HEADER_CHARS]
        for name, value in list(headers.items())[:KEPT_HEADERS]
    }


def why(refused: HubError) -> str:
    """It refused because of this, in one line."""
    first = refused.faults[0] if refused.faults else None
    if first is None or first.message == refused.detail:
        return refused.detail
    return f"{refused.detail} {first.pointer}: {first.message}"


def _clean(text: str) -> str:
    return "".join(
        char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text.replace("\r", "")
    )
