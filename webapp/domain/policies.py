"""What a subscription asks for beside retries: when, in which order, how many at once, and when to stop.

Rate limit and throttle have Inngest's meanings: a rate limit skips what is over it, a throttle lets it queue.
Each policy is off (``None``) unless it is given. The JSON form is documented in docs/policies.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, TypeVar

from webapp.domain.errors import Fault
from webapp.domain.faults import pointer, refusal, shown
from webapp.domain.keytemplates import KeyTemplate, parse_key
from webapp.domain.retry import format_duration, parse_duration

PRIORITIES = {"high": 0, "normal": 1, "low": 2}
MAX_COUNT = 1_000_000
MAX_BATCH = 100
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ordering:
    """Strictly one after the other per key, retries included. A dead one blocks its key unless ``on_dead`` says go on."""

    key: KeyTemplate
    on_dead: str = "block"  # or "continue"


@dataclass(frozen=True, slots=True)
class Concurrency:
    """At most ``limit`` run at once, and at most ``per_key`` of each key."""

    limit: int | None = None
    key: KeyTemplate | None = None
    per_key: int | None = None


@dataclass(frozen=True, slots=True)
class Throttle:
    """At most ``limit`` (plus ``burst`` at first) start per ``period``, per key; the others queue."""

    limit: int
    period: timedelta
    burst: int = 0
    key: KeyTemplate | None = None


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most ``limit`` are taken per ``period``, per key; the others are skipped."""

    limit: int
    period: timedelta
    key: KeyTemplate | None = None


@dataclass(frozen=True, slots=True)
class Debounce:
    """Runs when nothing came for ``period``, with the last event of its key, but never later than ``max_wait``."""

    period: timedelta
    max_wait: timedelta | None = None
    key: KeyTemplate | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Deliveries are collected (by key) and go to the handler in one call: ``size`` of them, or what came within ``wait``."""

    size: int
    wait: timedelta
    key: KeyTemplate | None = None


@dataclass(frozen=True, slots=True)
class Dedupe:
    """An event whose key was seen within ``window`` is skipped."""

    key: KeyTemplate
    window: timedelta


@dataclass(frozen=True, slots=True)
class Breaker:
    """Opens when ``failure_rate`` of at least ``min_tries`` tries within ``window`` failed; probes after ``open_for``.

    ``disable_after``: when it was never closed for that long, the subscription is paused for good and people are told.
    """

    failure_rate: float = 0.5
    min_tries: int = 20
    window: timedelta = timedelta(minutes=1)
    open_for: timedelta = timedelta(seconds=30)
    disable_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Policies:
    """All policies of a subscription."""

    priority: str = "normal"
    expires: timedelta | None = None  # in the queue: longer than this after its creation it is not started any more
    ordering: Ordering | None = None
    concurrency: Concurrency | None = None
    throttle: Throttle | None = None
    rate_limit: RateLimit | None = None
    debounce: Debounce | None = None
    batch: Batch | None = None
    dedupe: Dedupe | None = None
    breaker: Breaker | None = None

    @property
    def gated(self) -> bool:
        """Whether its deliveries pass the gate, one decision each, before workers may claim them."""
        return any((self.ordering, self.concurrency, self.throttle, self.batch))

    def to_json(self) -> dict[str, Any]:
        """The form that ``parse_policies`` reads back equal; what is off or as always is left out."""
        return _written(self)

    @classmethod
    def from_json(cls, document: Any) -> Policies:
        """Read what was stored or sent. Raises ``Refused`` (422, ``invalid-subscription``)."""
        return parse_policies(document)


def parse_policies(document: Any, at: str = "/policies") -> Policies:
    """The policies that ``document`` (parsed JSON) describes. Raises ``Refused`` (422) with every fault."""
    faults: list[Fault] = []
    policies = _read(Policies, _FIELDS[Policies], document, at, faults) or Policies()
    if not faults:
        faults += _contradictions(policies, at)
    if faults:
        raise refusal("invalid-subscription", "policies", faults)
    return policies


# Reading: a field's reader takes (value, pointer, faults) and answers the value, or None when it added a fault.

Reader = Callable[[Any, str, list[Fault]], Any]


def _read(kind: type[T], readers: Mapping[str, Reader], document: Any, at: str, faults: list[Fault]) -> T | None:
    if not isinstance(document, dict):
        faults.append(Fault(at, "wrong-type", "This must be an object."))
        return None
    before, values = len(faults), {}
    for name, value in document.items():
        if name not in readers:
            known = ", ".join(sorted(readers))
            faults.append(
                Fault(at + pointer(name), "unknown-field", f"There is no {shown(name)!r} here; known: {known}.")
            )
        elif value is not None:
            values[name] = readers[name](value, at + pointer(name), faults)
    missing = [name for name in _REQUIRED.get(kind, ()) if document.get(name) is None]
    faults += [Fault(at + pointer(name), "required", f"{name} is needed here.") for name in missing]
    return kind(**values) if len(faults) == before else None


def _policy(kind: type[T]) -> Reader:
    return lambda value, at, faults: _read(kind, _FIELDS[kind], value, at, faults)


def _count(low: int, high: int = MAX_COUNT) -> Reader:
    def read(value: Any, at: str, faults: list[Fault]) -> int | None:
        if type(value) is int and low <= value <= high:
            return value
        faults.append(Fault(at, "out-of-range", f"Write a whole number from {low} to {high:,}."))
        return None

    return read


def _duration(low: timedelta, high: timedelta) -> Reader:
    def read(value: Any, at: str, faults: list[Fault]) -> timedelta | None:
        try:
            found = parse_duration(value)
        except ValueError as error:
            faults.append(Fault(at, "invalid-duration", f"{str(error)[0].upper()}{str(error)[1:]}."))
            return None
        if low <= found <= high:
            return found
        message = f"This lies between {format_duration(low)} and {format_duration(high)}."
        faults.append(Fault(at, "out-of-range", message))
        return None

    return read


def _choice(*known: str) -> Reader:
    def read(value: Any, at: str, faults: list[Fault]) -> str | None:
        if isinstance(value, str) and value in known:
            return value
        faults.append(Fault(at, "unknown-choice", f"Choose one of {', '.join(known)}."))
        return None

    return read


def _key(value: Any, at: str, faults: list[Fault]) -> KeyTemplate | None:
    try:
        return parse_key(value)
    except ValueError as error:
        faults.append(Fault(at, "invalid-key", str(error)))
        return None


def _share(value: Any, at: str, faults: list[Fault]) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1:
        return float(value)
    faults.append(Fault(at, "out-of-range", "Write a share above 0 and up to 1; 0.5 is half."))
    return None


_SHORT, _WEEK, _MONTH = timedelta(milliseconds=100), timedelta(days=7), timedelta(days=31)

_FIELDS: dict[type[Any], dict[str, Reader]] = {
    Policies: {
        "priority": _choice(*PRIORITIES),
        "expires": _duration(timedelta(seconds=1), _MONTH),
        "ordering": _policy(Ordering),
        "concurrency": _policy(Concurrency),
        "throttle": _policy(Throttle),
        "rate_limit": _policy(RateLimit),
        "debounce": _policy(Debounce),
        "batch": _policy(Batch),
        "dedupe": _policy(Dedupe),
        "breaker": _policy(Breaker),
    },
    Ordering: {"key": _key, "on_dead": _choice("block", "continue")},
    Concurrency: {"limit": _count(1), "key": _key, "per_key": _count(1)},
    Throttle: {"limit": _count(1), "period": _duration(_SHORT, _WEEK), "burst": _count(0), "key": _key},
    RateLimit: {"limit": _count(1), "period": _duration(_SHORT, _WEEK), "key": _key},
    Debounce: {"period": _duration(_SHORT, _WEEK), "max_wait": _duration(_SHORT, _MONTH), "key": _key},
    Batch: {
        "size": _count(2, MAX_BATCH),
        "wait": _duration(timedelta(seconds=1), timedelta(hours=1)),
        "key": _key,
    },
    Dedupe: {"key": _key, "window": _duration(timedelta(seconds=1), _MONTH)},
    Breaker: {
        "failure_rate": _share,
        "min_tries": _count(1),
        "window": _duration(timedelta(minutes=1), timedelta(days=1)),
        "open_for": _duration(timedelta(seconds=1), timedelta(days=1)),
        "disable_after": _duration(timedelta(minutes=1), _MONTH),
    },
}
_REQUIRED: dict[type[Any], tuple[str, ...]] = {
    Ordering: ("key",),
    Throttle: ("limit", "period"),
    RateLimit: ("limit", "period"),
    Debounce: ("period",),
    Batch: ("size", "wait"),
    Dedupe: ("key", "window"),
}


def _contradictions(policies: Policies, at: str) -> list[Fault]:
    faults = []
    limits = policies.concurrency
    if limits is not None and limits.limit is None and limits.per_key is None:
        faults.append(Fault(f"{at}/concurrency", "required", "Give a limit, or a key with a limit per_key."))
    if limits is not None and (limits.key is None) != (limits.per_key is None):
        faults.append(Fault(f"{at}/concurrency", "contradiction", "key and per_key go together."))
    keys = {one.key.text for one in (limits, policies.throttle) if one is not None and one.key is not None}
    if len(keys) > 1:  # a delivery has one place for it
        faults.append(Fault(at, "contradiction", "The keys of concurrency and throttle must be the same."))
    if policies.ordering is not None and policies.debounce is not None:
        faults.append(Fault(f"{at}/debounce", "contradiction", "Debounce drops events; ordering keeps each of them."))
    late = policies.debounce.max_wait if policies.debounce is not None else None
    if policies.debounce is not None and late is not None and late < policies.debounce.period:
        faults.append(Fault(f"{at}/debounce/max_wait", "contradiction", "max_wait is shorter than the period."))
    return faults + _contradictions_of_batch(policies, at)


def _contradictions_of_batch(policies: Policies, at: str) -> list[Fault]:
    """The others count or line up single deliveries, and a batch starts many of them at once."""
    if (batch := policies.batch) is None:
        return []
    others = {
        "ordering": "Ordering runs one after the other; a batch runs its deliveries in one call. Choose one of them.",
        "concurrency": "Concurrency counts single deliveries; it is not combined with a batch.",
        "throttle": "A throttle counts single deliveries; it is not combined with a batch. Wait longer instead.",
    }
    faults = [
        Fault(f"{at}/{name}", "contradiction", why)
        for name, why in others.items()
        if getattr(policies, name) is not None
    ]
    if policies.expires is not None and policies.expires <= batch.wait:
        faults.append(
            Fault(f"{at}/expires", "contradiction", "Deliveries would expire while their batch is collected.")
        )
    return faults


def _written(policy: Any) -> dict[str, Any]:
    document = {}
    for field in fields(policy):
        value = getattr(policy, field.name)
        if value is not None and value != field.default:
            document[field.name] = _plain(value)
    return document


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, KeyTemplate):
        return value.text
    return value if isinstance(value, str | int | float) else _written(value)
