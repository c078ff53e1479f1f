"""The form of a subscription: fields to the document that the domain checks, and its faults back to the fields.

Nothing here decides what is valid; it only knows which field a JSON Pointer belongs to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from webapp.domain.errors import Fault, Refused
from webapp.domain.jsontext import parse_json
from webapp.domain.retry import RetryPolicy, format_duration
from webapp.domain.sensitive import masked
from webapp.domain.subscriptions import SubscriptionDraft, parse_subscription
from webapp.store.feed_subscriptions import SubscriptionRow
from webapp.web.pages import policy_form, retry_form
from webapp.web.pages.condition_form import ConditionForm

FIELD_CHARS = 20_000
FIELDS = {
    "/name": "name",
    "/pattern": "pattern",
    "/handler": "handler",
    "/options": "options",
    "/condition": "condition",
    "/transform": "transform",
    "/timeout": "timeout",
    "/mode": "mode",
    **retry_form.POINTERS,
    **policy_form.POINTERS,
}
RETRY_FIELDS = (*retry_form.POINTERS.values(), "jitter")
PLAIN = ("name", "pattern", "handler", "options", "transform", "timeout", "mode", "retry_mode", *(RETRY_FIELDS))
LABELS = {"pattern": "Event type", "timeout": "Time limit of a try", "retry_mode": "Kind of plan", "base": "First wait"}
LABELS |= {
    "factor": "Times, each time",
    "cap": "Longest wait",
    "max_attempts": "Tries in all",
    "max_age": "Greatest age",
}
LABELS |= {one.name: f"{group.title}: {one.label}" for group in policy_form.GROUPS for one in group.fields}
LABELS |= {one.name: one.label for one in policy_form.PLAIN}
JSON_FIELDS = frozenset({"options", "condition", "transform"})
Errors = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class SubscriptionForm:
    """The fields as a person typed them."""

    name: str = ""
    pattern: str = ""
    handler: str = ""
    options: str = ""
    transform: str = ""
    sample: str = ""  # a payload to try the transform on; not stored
    note: str = ""  # of the version that saving makes
    timeout: str = "30s"
    retry_mode: str = "standard"  # one of retry_form.MODES
    max_attempts: str = "8"
    base: str = "5s"
    factor: str = "2"
    cap: str = "1h"
    jitter: str = "on"
    delays: str = "5s, 5m, 30m, 2h, 5h"
    max_age: str = ""
    never_errors: str = ""
    never_statuses: str = ""
    retry_after_cap: str = "1d"
    revision: str = ""
    mode: str = "live"
    policies: Mapping[str, str] = field(default_factory=dict)  # by the names in policy_form
    rule: ConditionForm = field(default_factory=ConditionForm)

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> SubscriptionForm:
        """What a browser sent; a field that is absent is empty."""
        names = cls.__dataclass_fields__.keys() - {"policies", "rule"}
        texts = {name: fields.get(name, "")[:FIELD_CHARS] for name in names}
        return cls(**texts, policies=policy_form.values_of_request(fields), rule=ConditionForm.from_fields(fields))

    @classmethod
    def from_row(cls, row: SubscriptionRow, schema: Mapping[str, Any] | None = None) -> SubscriptionForm:
        """A stored subscription, to be edited; ``schema`` is that of its handler's options, some of which are hidden."""
        common = cls(
            name=row.name,
            pattern=row.pattern,
            handler=row.handler,
            options=_pretty(masked(row.options, schema)) if row.options else "",
            transform=_pretty(row.transform) if row.transform is not None else "",
            timeout=format_duration(timedelta(milliseconds=row.timeout_ms)),
            revision=str(row.revision),
            mode=row.mode,
            policies=policy_form.values_of_document(row.policies),
            rule=ConditionForm.from_tree(row.condition),
        )
        typed: dict[str, Any] = dict(retry_form.values_of(RetryPolicy.from_json(row.retry)))
        return replace(common, **typed)

    def texts(self) -> dict[str, str]:
        """By field, to be compared with what somebody else typed. The condition is one field, as JSON if it can be read."""
        reading = self.rule.read()
        as_typed = self.rule.text or self.rule.json
        condition = as_typed if reading.faults else "" if reading.tree is None else _pretty(reading.tree)
        plain = {name: getattr(self, name) for name in PLAIN}
        return (
            plain | {"condition": condition} | {one.name: self.policies.get(one.name, "") for one in policy_form.FIELDS}
        )

    def taking(self, texts: Mapping[str, str]) -> SubscriptionForm:
        """With these texts of another."""
        policies = dict(self.policies) | {one.name: texts[one.name] for one in policy_form.FIELDS if one.name in texts}
        rule = self.rule
        if "condition" in texts:
            rule = ConditionForm(mode="json", json=texts["condition"])
            rule = rule if rule.read().faults else ConditionForm.from_tree(rule.read().tree, self.rule.mode)
        plain: dict[str, Any] = {name: text for name, text in texts.items() if name in PLAIN}
        return replace(self, **plain, policies={name: text for name, text in policies.items() if text}, rule=rule)

    def to_draft(self, known_handlers: Mapping[str, Mapping[str, Any]]) -> tuple[SubscriptionDraft | None, Errors]:
        """The checked subscription, or ``None`` and what is wrong by field."""
        document, faults = self._document()
        broken = {fault.pointer for fault in faults}
        try:
            draft = parse_subscription(document, known_handlers)
        except Refused as refused:
            return None, by_field([*faults, *(f for f in refused.faults if f.pointer not in broken)])
        return (None, by_field(faults)) if faults else (draft, {})

    def policy(self) -> tuple[RetryPolicy | None, Errors]:
        """Only the retry policy, for its preview."""
        document, faults = self._retry()
        if faults:
            return None, by_field(faults)
        try:
            return RetryPolicy.from_json(document), {}
        except Refused as refused:
            return None, by_field(refused.faults)

    def condition_tree(self) -> tuple[Any, list[Fault]]:
        """The condition (``None``: there is none, or it cannot be read) and what is wrong with it."""
        reading = self.rule.read()
        return reading.tree, list(reading.faults)

    def transform_tree(self) -> tuple[Any, list[Fault]]:
        """The parsed JSON of the transform (``None``: there is none)."""
        return _json_of(self.transform, "/transform")

    def sample_payload(self) -> tuple[Any, list[Fault]]:
        """The parsed JSON of the payload to try it on (``None``: there is none)."""
        return _json_of(self.sample, "/sample")

    def _document(self) -> tuple[dict[str, Any], list[Fault]]:
        options, faults = _json_of(self.options, "/options")
        condition, more = self.condition_tree()
        transform, misshapen = self.transform_tree()
        retry, most = self._retry()
        policies, unread = policy_form.document_of(self.policies)
        document = {
            "name": self.name,
            "pattern": self.pattern.strip(),
            "handler": self.handler,
            "options": options if not faults else {},
            "condition": condition,
            "transform": transform,
            "retry": retry,
            "timeout": self.timeout,
            "mode": self.mode or None,
            "policies": policies,
        }
        if not self.timeout.strip():
            del document["timeout"]
        if not self.handler:
            faults.append(Fault("/handler", "required", "Choose what is to be done with the events."))
        return document, [*faults, *more, *misshapen, *most, *unread]

    def _retry(self) -> tuple[dict[str, Any], list[Fault]]:
        return retry_form.document_of({name: getattr(self, name) for name in RETRY_FIELDS})


def faults_of(refused: Refused) -> list[Fault]:
    """What is wrong; a refusal that names no place is one fault of the whole."""
    return list(refused.faults) or [Fault("", refused.slug, refused.detail)]


def by_field(faults: Sequence[Fault], fields: Mapping[str, str] = FIELDS) -> Errors:
    """Messages by the field that they belong to (``fields``: by its JSON Pointer); "" is the form as a whole."""
    errors: Errors = {}
    for fault in faults:
        root = next((path for path in fields if fault.pointer.startswith(path)), "")
        name = fields.get(root, "")
        inside = fault.pointer.removeprefix(root)
        message = f"At {inside}: {fault.message}" if inside and name in JSON_FIELDS else fault.message
        errors.setdefault(name, []).append(message)
    return errors


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _json_of(text: str, at: str) -> tuple[Any, list[Fault]]:
    if not text.strip():
        return None, []
    try:
        return parse_json(text.encode("utf-8", "surrogatepass")), []
    except Refused as refused:
        faults = [Fault(f"{at}{fault.pointer}", fault.code, fault.message) for fault in refused.faults]
        return None, faults or [Fault(at, refused.slug, refused.detail)]
