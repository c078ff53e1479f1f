"""Messages that came from a broker: mapped to events as requests are, accepted together, and written down.

What is answered for each says whether it may be acknowledged: all but what could not be stored.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from webapp.domain.access import Actor
from webapp.domain.errors import HubError, Refused, Unavailable
from webapp.domain.events import EventDraft, parse_event
from webapp.domain.sourcemaps import Request, document_of, read_body, read_loosely
from webapp.domain.sources import templates_of
from webapp.runtime import Runtime
from webapp.services.accept import Accepted, Acceptor
from webapp.services.inbound import Arrival, MayNote, cloudevent_of, note_of, why
from webapp.store import sources

log = logging.getLogger(__name__)

NOTED = 20  # of the messages of one batch that were accepted; refused ones have a bound of their own
STORED = frozenset({"accepted", "duplicate"})


@dataclass(frozen=True, slots=True, repr=False)
class Message:
    """One message. ``headers`` are in lower case: those that it came with, and what its broker says of it."""

    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a message: accepted, duplicate, rejected, or later: nothing was stored, it is to be asked again."""

    name: str
    reason: str | None = None
    uid: str | None = None

    @property
    def is_settled(self) -> bool:
        return self.name != "later"


def take(
    rt: Runtime, acceptor: Acceptor, row: Any, messages: Sequence[Message], where: str, may_note: MayNote
) -> list[Verdict]:
    """Accept what can be accepted; ``where`` is the host it came from. Never raises for a message."""
    arrivals = [Arrival(message.headers, message.body, ip=where) for message in messages]
    judged: list[EventDraft | Verdict] = [_judged(lambda a=arrival: _draft(rt, row, a)) for arrival in arrivals]  # type: ignore[misc]
    drafts = [one for one in judged if isinstance(one, EventDraft)]
    actor = Actor("system", row.id, row.name, "publisher", where)
    try:
        answers = iter(acceptor.accept_many(drafts, actor))
    except Unavailable as error:
        return [Verdict("later", error.detail)] * len(judged)  # also the refused ones: nothing can be written down now
    verdicts = [one if isinstance(one, Verdict) else _verdict(next(answers)) for one in judged]
    _write_down(rt, row, list(zip(arrivals, verdicts, strict=True)), may_note)
    return verdicts


def _judged(draft: Callable[[], EventDraft]) -> EventDraft | Verdict:
    try:
        return draft()
    except HubError as refused:
        return Verdict("rejected", why(refused))


def _draft(rt: Runtime, row: Any, arrival: Arrival) -> EventDraft:
    most = rt.settings.max_body_bytes
    if len(arrival.body) > most:
        raise Refused(
            "payload-too-large", f"The message has {len(arrival.body):,} bytes, {most:,} are taken.", status=413
        )
    if draft := cloudevent_of(rt, row, arrival):
        return draft
    request = Request(arrival.headers, row.event_source, _body(rt, row, arrival))
    document = document_of(request, templates_of(row.kind, row.mapping))
    return parse_event(document, default_source=row.event_source, now=rt.clock())


def _body(rt: Runtime, row: Any, arrival: Arrival) -> Any:
    """By the content type; without one, JSON if it is JSON, else text or bytes."""
    depth = rt.settings.max_json_depth
    if arrival.content_type:
        return read_body(row.kind, arrival.content_type, arrival.body, max_depth=depth)
    try:
        return read_loosely("", arrival.body, max_depth=depth)
    except Refused:
        return read_body(row.kind, "text/plain", arrival.body)


def _verdict(answer: Accepted | HubError) -> Verdict:
    if isinstance(answer, Accepted):
        return Verdict("duplicate" if answer.duplicate else "accepted", uid=answer.uid)
    if isinstance(answer, Unavailable):
        return Verdict("later", answer.detail)
    return Verdict("rejected", why(answer), uid=getattr(answer, "event_id", None))


def _write_down(rt: Runtime, row: Any, outcomes: list[tuple[Arrival, Verdict]], may_note: MayNote) -> None:
    stored = [one for one in outcomes if one[1].name in STORED][-NOTED:]
    refused = [one for one in outcomes if one[1].name == "rejected" and may_note(row.id)]
    try:
        with rt.db.write() as conn:
            for arrival, verdict in [*stored, *refused]:
                status = 202 if verdict.name in STORED else 422
                note = note_of(rt, row, arrival, verdict.name, status, reason=verdict.reason, uid=verdict.uid)
                sources.keep_request(conn, note)
    except HubError as error:  # the events matter more than the notes about their messages
        log.warning("messages of %s were not written down: %s", row.id, error.detail)
