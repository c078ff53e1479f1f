"""What applying files of rules would do: every rule that would be created, changed, taken over or deleted, and why not.

A rule that was applied before is found by its key. One that was made by hand is taken over when it has the same name and is
the only one; it is never deleted. What the files do not say (whether a rule is paused) is nobody's drift.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from webapp.domain.errors import Fault
from webapp.domain.faults import refusal
from webapp.domain.jsontext import to_text
from webapp.domain.policies import Policies
from webapp.domain.retry import RetryPolicy
from webapp.domain.rulesfile import CodeRule
from webapp.domain.sensitive import masked, restored
from webapp.domain.versions import FieldChange, field_changes

CREATE, UPDATE, ADOPT, DELETE, UNCHANGED = "create", "update", "adopt", "delete", "unchanged"
ACTIONS = (CREATE, UPDATE, ADOPT, DELETE, UNCHANGED)
Schemas = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A subscription as it is: its document and, if it came from files, its set and key."""

    id: str
    revision: int
    document: Mapping[str, Any]
    code_set: str | None
    code_key: str | None

    @property
    def name(self) -> str:
        """Of the rule."""
        return str(self.document["name"])


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of one rule. ``changes`` are as they may be shown."""

    action: str
    key: str
    name: str
    rule: CodeRule | None = None
    stored: StoredRule | None = None
    changes: tuple[FieldChange, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "action": self.action,
            "key": self.key,
            "name": self.name,
            "id": self.stored and self.stored.id,
            "at": self.rule and self.rule.at,
            "changes": [change.to_json() for change in self.changes],
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps, deletions last. ``digest`` names this plan: another one has another."""

    set: str
    steps: tuple[Step, ...]

    @property
    def has_drift(self) -> bool:
        """Whether applying would change anything."""
        return any(step.action != UNCHANGED for step in self.steps)

    @property
    def counts(self) -> dict[str, int]:
        """How many of each action."""
        return {action: sum(step.action == action for step in self.steps) for action in ACTIONS}

    @property
    def digest(self) -> str:
        """Of what would be done to which revisions."""
        done = [
            (step.action, step.key, step.stored and (step.stored.id, step.stored.revision), step.rule and step.rule.draft.to_json())
            for step in self.steps
        ]  # fmt: skip
        return sha256(to_text(done).encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        steps = [step.to_json() for step in self.steps]
        return {"set": self.set, "drift": self.has_drift, "counts": self.counts, "digest": self.digest, "steps": steps}


def make_plan(
    rules: Sequence[CodeRule], stored: Iterable[StoredRule], *, set_name: str, prune: bool, schemas: Schemas
) -> Plan:
    """Compare. Raises ``Refused`` (422, ``invalid-rules``) where a rule cannot be matched."""
    known = list(stored)
    by_key = {one.code_key: one for one in known if one.code_key is not None}
    by_name: dict[str, list[StoredRule]] = defaultdict(list)
    for one in known:
        if one.code_key is None:
            by_name[one.name].append(one)
    faults: list[Fault] = []
    steps = [_step(rule, by_key.get(rule.key), by_name, set_name, schemas, faults) for rule in rules]
    if faults:
        raise refusal("invalid-rules", "rules", faults)
    if prune:
        wanted = {rule.key for rule in rules}
        gone = [one for one in known if one.code_set == set_name and one.code_key not in wanted]
        steps += [Step(DELETE, str(one.code_key), one.name, None, one) for one in gone]
    return Plan(set_name, tuple(steps))


def _step(
    rule: CodeRule,
    found: StoredRule | None,
    by_name: Mapping[str, list[StoredRule]],
    set_name: str,
    schemas: Schemas,
    faults: list[Fault],
) -> Step:
    name, action = rule.draft.name, UPDATE
    if found is not None and found.code_set != set_name:
        message = f"The key {rule.key} belongs to the set {found.code_set}; choose another, or apply it there."
        faults.append(Fault(f"{rule.at}/key", "belongs-to-another-set", message))
    if found is None and (alike := by_name.get(name)):
        if len(alike) > 1:
            message = f"{len(alike)} rules made by hand have the name {name}; rename all but the one that is meant."
            faults.append(Fault(f"{rule.at}/name", "ambiguous-name", message))
        found, action = alike.pop(), ADOPT
    if found is None:
        restored(rule.draft.options, {}, f"{rule.at}/options", faults)
        return Step(CREATE, rule.key, name, rule)
    changes = _changes(rule, found, schemas, faults)
    return Step(action if changes or action == ADOPT else UNCHANGED, rule.key, name, rule, found, changes)


def _changes(rule: CodeRule, found: StoredRule, schemas: Schemas, faults: list[Fault]) -> tuple[FieldChange, ...]:
    before, after = _normal(found.document), rule.draft.to_json()
    after["options"] = restored(after["options"], before["options"], f"{rule.at}/options", faults)
    return field_changes(before, after, schemas)


def _normal(document: Mapping[str, Any]) -> dict[str, Any]:
    """With what is as always written as it is written today."""
    retry, policies = RetryPolicy.from_json(document["retry"]), Policies.from_json(document["policies"])
    return {**document, "retry": retry.to_json(), "policies": policies.to_json()}


def shown_document(document: Mapping[str, Any], schemas: Schemas) -> dict[str, Any]:
    """The document for a file: hidden options as dots, which stand for what is stored."""
    normal = _normal(document)
    return {**normal, "options": masked(normal["options"], schemas.get(normal["handler"]))}
