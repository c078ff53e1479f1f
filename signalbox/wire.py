"""What goes over the wire and back, and when it is tried again: shared by both clients, without any I/O."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from signalbox.errors import RefusedError, UnavailableError

EVENTS, BATCH = "/api/v1/events", "/api/v1/events/batch"
BATCH_EVENTS, BATCH_BYTES = 1_000, 4 * 1024 * 1024  # of one request at most
PASSING = frozenset({429, 502, 503, 504})  # says "not now"
NOT_DONE = frozenset({429, 503})  # and that nothing was done
MAX_WAIT_S = 30  # of Prefer: wait

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Receipt:
    """The event is on the hub's disk (or in the outbox: ``status`` is then ``offline`` and ``uid`` empty)."""

    id: str
    uid: str
    duplicate: bool
    status: str
    warnings: Sequence[Mapping[str, Any]] = ()  # how it breaks a schema that only warns
    deprecation: str | None = None  # its type is deprecated: what to use instead
    outcome: Mapping[str, Any] | None = None  # the status document, when it was waited for and has ended


@dataclass(frozen=True, slots=True)
class Refusal:
    """One event of several that was not accepted."""

    index: int
    error: RefusedError


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how long it is tried: exponential, with jitter; ``Retry-After`` of the hub counts if it is longer."""

    tries: int = 5
    first_s: float = 0.2
    most_s: float = 10.0
    patience_s: float = 60.0  # a Retry-After beyond is not waited for

    def wait(self, tried: int, asked_s: float | None, roll: float) -> float | None:
        """Seconds until the next try after ``tried`` of them; None: give up. ``roll`` is in [0, 1)."""
        if tried >= self.tries or (asked_s or 0) > self.patience_s:
            return None
        backoff: float = min(self.most_s, self.first_s * 2 ** (tried - 1))
        return max(backoff * (0.5 + roll / 2), asked_s or 0)


def document(
    type: str,
    payload: Mapping[str, Any] | None = None,
    *,
    id: str | None = None,
    source: str | None = None,
    subject: str | None = None,
    timestamp: datetime | str | None = None,
    version: int | None = None,
    labels: Mapping[str, str] | None = None,
    correlation_id: str | None = None,
    causation_id: str | None = None,
    trace_id: str | None = None,
    deliver_at: datetime | str | None = None,
    delay: timedelta | float | str | None = None,
) -> Document:
    """The event as the API takes it. It always has an id: however often it is sent, it is stored once."""
    values = {
        "type": type, "payload": dict(payload or {}), "id": id or new_id(), "source": source, "subject": subject,
        "timestamp": _instant(timestamp), "version": version, "labels": None if labels is None else dict(labels),
        "correlation_id": correlation_id, "causation_id": causation_id, "trace_id": trace_id,
        "deliver_at": _instant(deliver_at), "delay": delay.total_seconds() if isinstance(delay, timedelta) else delay,
    }  # fmt: skip
    return {name: value for name, value in values.items() if value is not None}


def new_id() -> str:
    """An id that nobody else makes."""
    return uuid.uuid4().hex


def with_id(event: Mapping[str, Any]) -> Document:
    """The event with an id."""
    return {**event} if event.get("id") else {**event, "id": new_id()}


def to_json(value: Any) -> bytes:
    """JSON (RFC 8259) in UTF-8; NaN and Infinity are none. Raises ``ValueError`` or ``TypeError``."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def in_batches(events: Iterable[Mapping[str, Any]]) -> Iterator[list[bytes]]:
    """The events as JSON, each with an id, cut into what one request takes."""
    lines: list[bytes] = []
    size = 0
    for event in events:
        line = to_json(with_id(event))
        if lines and (len(lines) == BATCH_EVENTS or size + len(line) >= BATCH_BYTES):
            yield lines
            lines, size = [], 0
        lines.append(line)
        size += len(line) + 1
    if lines:
        yield lines


def receipt_of(sent_id: str, answer: Mapping[str, Any]) -> Receipt:
    """The receipt in the answer to one event: the hub's acknowledgement, or the status document of one that has ended."""
    if "event_id" in answer:
        return Receipt(sent_id, "", False, str(answer.get("status", "")), outcome=answer)
    status = answer.get("event_status", answer.get("status", ""))
    return Receipt(
        str(answer["id"]), str(answer["uid"]), bool(answer["duplicate"]), str(status),
        tuple(answer.get("warnings") or ()), answer.get("deprecation"),
    )  # fmt: skip


def results_of(answer: Mapping[str, Any], first: int) -> list[Receipt | Refusal]:
    """Of a batch, in the order in which it was sent; ``first`` is the index of its first event."""
    return [
        Refusal(first + int(item["index"]), RefusedError(int(item["status"]), item["problem"]))
        if "problem" in item
        else receipt_of(str(item["id"]), item)
        for item in answer["items"]
    ]


def parsed(status: int, body: bytes) -> Any:
    """The JSON of a good answer. Raises ``RefusedError`` for one that is not, ``UnavailableError`` for what is no answer."""
    try:
        value = json.loads(body) if body else {}
    except ValueError:
        value = None
    if 200 <= status < 300 and value is not None:
        return value
    if 400 <= status < 500 and status not in PASSING:
        raise RefusedError(status, value if isinstance(value, dict) else {"title": f"HTTP {status}"})
    detail = value.get("detail") if isinstance(value, dict) else None
    raise UnavailableError(f"HTTP {status}: {detail or 'the answer is not one of a Signalbox'}")


def may_retry(status: int, *, repeatable: bool) -> bool:
    """Whether to try again: a request whose repetition could do it twice, only when surely nothing was done."""
    return status in (PASSING if repeatable else NOT_DONE)


def retry_after(value: str | None, now_s: float | None = None) -> float | None:
    """Seconds of a ``Retry-After`` header (RFC 9110, section 10.2.3), which may be a date."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, at.timestamp() - (time.time() if now_s is None else now_s))


def _instant(value: datetime | str | None) -> str | None:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone, for example datetime(..., tzinfo=UTC)")
        return value.isoformat()
    return value
