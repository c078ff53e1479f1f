"""The fields of the policies in the form of a subscription: which there are, and the document that they make.

A field is named after its place in the document: ``p.throttle.limit`` is ``/policies/throttle/limit``. Nothing here
decides what is valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webapp.domain.errors import Fault

PREFIX = "p."
FIELD_CHARS = 600


@dataclass(frozen=True, slots=True)
class PolicyField:
    """One input. ``kind``: text, whole, share (a percentage) or the choices of a select."""

    path: str  # in the document: throttle/limit
    label: str
    hint: str = ""
    kind: str = "text"
    choices: tuple[tuple[str, str], ...] = ()
    example: str = ""  # shown while it is empty

    @property
    def name(self) -> str:
        """Of the input."""
        return PREFIX + self.path.replace("/", ".")


@dataclass(frozen=True, slots=True)
class PolicyGroup:
    """Fields that belong together; ``root`` is the policy that they make."""

    root: str
    title: str
    about: str
    fields: tuple[PolicyField, ...]

    def is_used(self, values: Mapping[str, str]) -> bool:
        """Whether a person filled any of it in."""
        return any(values.get(field.name, "").strip() for field in self.fields)


def _whole(path: str, label: str, example: str = "") -> PolicyField:
    return PolicyField(path, label, "", "whole", example=example)


def _time(path: str, label: str, example: str, hint: str = "") -> PolicyField:
    return PolicyField(path, label, hint, example=example)


def _key(root: str, hint: str = "Empty: one for all events.", example: str = "{data.customer_id}") -> PolicyField:
    return PolicyField(f"{root}/key", "Key", hint, example=example)


PLAIN = (
    PolicyField("priority", "Priority", "", "select", (("", "Normal"), ("high", "High"), ("low", "Low"))),
    _time("expires", "Expires", "1h", "Not started after so long in the queue."),
)
ON_DEAD = (("", "Block its key until somebody acts"), ("continue", "Go on with the next"))
GROUPS = (
    PolicyGroup(
        "ordering",
        "In order",
        "One after the other per key, retries included.",
        (
            _key("ordering", ""),
            PolicyField("ordering/on_dead", "A dead delivery", "", "select", ON_DEAD),
        ),
    ),
    PolicyGroup(
        "concurrency",
        "At once",
        "How many may run at the same time.",
        (
            _whole("concurrency/limit", "Limit"),
            _key("concurrency", "Goes with a limit per key."),
            _whole("concurrency/per_key", "Per key"),
        ),
    ),
    PolicyGroup(
        "throttle",
        "Throttle",
        "How many may start in a while; the others queue.",
        (
            _whole("throttle/limit", "Starts"),
            _time("throttle/period", "Per", "1m"),
            _whole("throttle/burst", "More at first"),
            _key("throttle"),
        ),
    ),
    PolicyGroup(
        "rate_limit",
        "Rate limit",
        "How many are taken in a while; the others are skipped.",
        (_whole("rate_limit/limit", "Events"), _time("rate_limit/period", "Per", "1h"), _key("rate_limit")),
    ),
    PolicyGroup(
        "debounce",
        "Debounce",
        "Wait until it is quiet, then run with the last event only.",
        (
            _time("debounce/period", "Quiet for", "10s"),
            _time("debounce/max_wait", "Waits at most", "5m", "Empty: as long as it takes."),
            _key("debounce"),
        ),
    ),
    PolicyGroup(
        "batch",
        "Batch",
        "Collect events and give them to the handler in one call.",
        (
            _whole("batch/size", "Size", "50"),
            _time("batch/wait", "Waits at most", "30s", "From 1s to 1h; then what is there goes."),
            _key("batch"),
        ),
    ),
    PolicyGroup(
        "dedupe",
        "Once per key",
        "An event whose key was seen a short while ago is skipped.",
        (
            _key("dedupe", "", "{data.order_id}"),
            _time("dedupe/window", "Within", "1d"),
        ),
    ),
    PolicyGroup(
        "breaker",
        "Circuit breaker",
        "Hold deliveries while the target keeps failing; none of them uses up a try.",
        (
            PolicyField("breaker/failure_rate", "Opens at failures of", "", "share", example="50%"),
            _whole("breaker/min_tries", "Of at least so many tries", "20"),
            _time("breaker/window", "Within", "1m"),
            _time("breaker/open_for", "Probes after", "30s"),
            _time("breaker/disable_after", "Pauses the subscription after", "1d", "Empty: never."),
        ),
    ),
)
FIELDS = (*PLAIN, *(field for group in GROUPS for field in group.fields))
POINTERS = {f"/policies/{field.path}": field.name for field in FIELDS} | {
    f"/policies/{group.root}": group.fields[0].name for group in GROUPS
}


def values_of_request(fields: Mapping[str, str]) -> dict[str, str]:
    """What a browser sent for the policies; absent and empty fields are left out."""
    sent = {field.name: fields.get(field.name, "")[:FIELD_CHARS] for field in FIELDS}
    return {name: text for name, text in sent.items() if text.strip()}


def values_of_document(document: Mapping[str, Any]) -> dict[str, str]:
    """The fields of stored policies."""
    values = {}
    for field in FIELDS:
        root, _, leaf = field.path.partition("/")
        value = document.get(root)
        value = value.get(leaf) if leaf and isinstance(value, Mapping) else value
        if value is not None and not isinstance(value, Mapping):
            values[field.name] = f"{value:.0%}" if field.kind == "share" else str(value)
    if document.get("breaker") == {}:  # all as always
        values[f"{PREFIX}breaker.failure_rate"] = "50%"
    return values


def document_of(values: Mapping[str, str]) -> tuple[dict[str, Any], list[Fault]]:
    """The policies that the fields make, as far as they can be read."""
    document: dict[str, Any] = {}
    faults: list[Fault] = []
    for field in FIELDS:
        text = values.get(field.name, "").strip()
        if not text:
            continue
        value = _read(field, text, faults)
        root, _, leaf = field.path.partition("/")
        if leaf:
            document.setdefault(root, {})[leaf] = value
        else:
            document[root] = value
    return document, faults


def _read(field: PolicyField, text: str, faults: list[Fault]) -> Any:
    if field.kind == "whole":
        if text.isascii() and text.isdigit() and len(text) < 10:
            return int(text)
        faults.append(Fault(f"/policies/{field.path}", "wrong-type", "Write a whole number, such as 5."))
    elif field.kind == "share":
        try:
            return float(text.removesuffix("%").strip()) / 100
        except ValueError:
            faults.append(Fault(f"/policies/{field.path}", "wrong-type", "Write a percentage, such as 50%."))
    return text
