"""What a subscription may look like. ``parse_subscription`` is the one door for forms and the API alike.

It knows the handlers that the workers offer and checks the options that each one asks for; every fault is
named at once, with its JSON Pointer (RFC 6901).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from webapp.domain.conditions import parse_condition
from webapp.domain.errors import Fault, Refused
from webapp.domain.faults import refusal, unknown_fields
from webapp.domain.names import read_name
from webapp.domain.optionschema import check_options
from webapp.domain.policies import Policies, parse_policies
from webapp.domain.retry import RetryPolicy, format_duration, parse_duration
from webapp.domain.routing import parse_pattern
from webapp.domain.transform import parse_transform

MAX_OPTIONS = 100
DEFAULT_TIMEOUT = timedelta(seconds=30)
SHORTEST_TIMEOUT = timedelta(seconds=0.1)
LONGEST_TIMEOUT = timedelta(hours=1)
T = TypeVar("T")
FIELDS = ("name", "pattern", "condition", "transform", "handler", "options", "retry", "timeout", "policies", "mode")
MODES = ("live", "shadow")


@dataclass(frozen=True, slots=True)
class SubscriptionDraft:
    """A valid subscription that is not stored yet. ``condition`` is the JSON tree or None."""

    name: str
    pattern: str
    condition: dict[str, Any] | None
    handler: str
    options: dict[str, Any] = field(default_factory=dict)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeout: timedelta = DEFAULT_TIMEOUT  # of one try
    policies: Policies = field(default_factory=Policies)
    mode: str = "live"  # "shadow": matches are recorded, nothing runs
    transform: dict[str, Any] | None = None  # what the handler sees instead of the event: domain.transform

    def to_json(self) -> dict[str, Any]:
        """The form that ``parse_subscription`` reads back equal."""
        return {
            "name": self.name,
            "pattern": self.pattern,
            "condition": self.condition,
            "transform": self.transform,
            "handler": self.handler,
            "options": self.options,
            "retry": self.retry.to_json(),
            "timeout": format_duration(self.timeout),
            "policies": self.policies.to_json(),
            "mode": self.mode,
        }


class Offer(dict[str, Mapping[str, Any]]):
    """The handlers that workers offer: names to option schemas. ``takes_lists`` are those that take several events."""

    def __init__(self, schemas: Mapping[str, Mapping[str, Any]], takes_lists: Collection[str] = ()) -> None:
        super().__init__(schemas)
        self.takes_lists = frozenset(takes_lists)


def document_of(row: Any) -> dict[str, Any]:
    """The document of a stored subscription: what ``parse_subscription`` reads back equal."""
    stored = {name: getattr(row, name) for name in FIELDS if name != "timeout"}
    return {**stored, "timeout": format_duration(timedelta(milliseconds=row.timeout_ms))}


def parse_subscription(document: Any, known_handlers: Mapping[str, Mapping[str, Any]]) -> SubscriptionDraft:
    """The subscription that ``document`` (parsed JSON) describes; ``known_handlers`` maps names to option schemas (an ``Offer``).

    Raises ``Refused`` (422, ``invalid-subscription``) with every fault.
    """
    if not isinstance(document, dict):
        fault = Fault("", "wrong-type", "A subscription is a JSON object with a name, a pattern and a handler.")
        raise refusal("invalid-subscription", "subscription", [fault])
    faults = unknown_fields("A subscription", document, FIELDS)
    name = read_name(document.get("name"), faults)
    pattern = _unless_refused(lambda: parse_pattern(document.get("pattern")), faults)
    tree = document.get("condition")
    if tree is not None:
        _unless_refused(lambda: parse_condition(tree, "/condition"), faults)
    shape = document.get("transform")
    if shape is not None:
        _unless_refused(lambda: parse_transform(shape, "/transform"), faults)
    handler, options = _handler(document, known_handlers, faults)
    wish = document.get("retry")
    retry = RetryPolicy() if wish is None else _unless_refused(lambda: RetryPolicy.from_json(wish), faults)
    timeout = _timeout(document.get("timeout"), faults)
    asked = document.get("policies")
    policies = Policies() if asked is None else _unless_refused(lambda: parse_policies(asked), faults)
    if policies is not None and policies.batch is not None:
        _must_take_lists(handler, known_handlers, faults)
    mode = document.get("mode") or "live"
    if mode not in MODES:
        faults.append(Fault("/mode", "unknown-choice", f"Choose one of {', '.join(MODES)}."))
    if faults or pattern is None or retry is None or policies is None:
        raise refusal("invalid-subscription", "subscription", faults, own_slugs={"unsupported-pattern"})
    return SubscriptionDraft(name, pattern, tree, handler, options, retry, timeout, policies, mode, shape)


def _unless_refused(read: Callable[[], T], faults: list[Fault]) -> T | None:
    try:
        return read()
    except Refused as error:
        faults += error.faults
        return None


def _handler(
    document: dict[str, Any], known: Mapping[str, Mapping[str, Any]], faults: list[Fault]
) -> tuple[str, dict[str, Any]]:
    handler, options = document.get("handler"), document.get("options")
    options = {} if options is None else options
    if not isinstance(options, dict):
        faults.append(Fault("/options", "wrong-type", "Options must be an object."))
    elif len(options) > MAX_OPTIONS:
        faults.append(Fault("/options", "too-many", f"At most {MAX_OPTIONS} options."))
    elif isinstance(handler, str) and handler in known:
        faults += check_options(known[handler], options, "/options")
    if not isinstance(handler, str) or handler not in known:
        names = ", ".join(sorted(known)) or "none yet: no worker has started"
        faults.append(Fault("/handler", "unknown-handler", f"Choose a handler that a worker offers: {names}."))
    return handler if isinstance(handler, str) else "", options


def _must_take_lists(handler: str, known: Mapping[str, Mapping[str, Any]], faults: list[Fault]) -> None:
    if handler not in known or not isinstance(known, Offer) or handler in known.takes_lists:
        return
    names = ", ".join(sorted(known.takes_lists)) or "none"
    message = f"The handler {handler} takes one event at a time. Those that take lists (process_batch): {names}."
    faults.append(Fault("/policies/batch", "handler-takes-no-lists", message))


def _timeout(value: Any, faults: list[Fault]) -> timedelta:
    if value is None:
        return DEFAULT_TIMEOUT
    try:
        timeout = parse_duration(value)
    except ValueError as error:
        message = str(error)
        faults.append(Fault("/timeout", "invalid-duration", f"{message[0].upper()}{message[1:]}."))
        return DEFAULT_TIMEOUT
    if not SHORTEST_TIMEOUT <= timeout <= LONGEST_TIMEOUT:
        faults.append(Fault("/timeout", "out-of-range", "A try may last from 0.1 seconds to 1 hour."))
    return timeout
