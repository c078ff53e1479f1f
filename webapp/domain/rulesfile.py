"""Rules as code: what files of rules say. YAML (JSON is YAML too): ``rules:`` and a list of subscriptions, each with a key.

A rule is known by its ``key`` for good, so that it may change its name; without one, the key is made of the name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from webapp.domain.errors import Fault, Refused
from webapp.domain.faults import pointer, refusal, shown
from webapp.domain.jsontext import parse_json, to_text
from webapp.domain.subscriptions import FIELDS, SubscriptionDraft, parse_subscription
from webapp.domain.yamltext import YamlFault, read_yaml, write_yaml

VERSION = 1
MAX_RULES = 1_000
MAX_FILES = 200
SET = "default"
_KEY = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class RulesFile:
    """A file as it was sent."""

    path: str
    content: bytes


@dataclass(frozen=True, slots=True)
class CodeRule:
    """One rule of a file, checked. ``at`` is where it stands."""

    key: str
    draft: SubscriptionDraft
    at: str


def parse_rules(files: Iterable[RulesFile], known_handlers: Mapping[str, Mapping[str, Any]]) -> list[CodeRule]:
    """Every rule of all files. Raises ``Refused`` (422, ``invalid-rules``) with every fault: ``path#pointer``."""
    faults: list[Fault] = []
    rules: list[CodeRule] = []
    for file in files:
        for document, at in _documents(file, faults):
            rules += _rules_of(document, at, known_handlers, faults)
    _check_keys(rules, faults)
    if len(rules) > MAX_RULES:
        faults.append(Fault("", "too-many", f"At most {MAX_RULES} rules are applied at once."))
    if faults:
        raise refusal("invalid-rules", "rules", faults)
    return rules


def parse_set(name: Any) -> str:
    """The name of a set of rules. Raises ``Refused``."""
    if not isinstance(name, str) or not _KEY.fullmatch(name):
        fault = Fault("/set", "invalid-set", "A set has a name of 1 to 64 characters of a-z, 0-9, . _ and -.")
        raise refusal("invalid-rules", "rules", [fault])
    return name


def key_of_name(name: str) -> str:
    """``Large orders!`` is ``large-orders``; "" when nothing is left."""
    return re.sub(r"[^a-z0-9._]+", "-", name.lower()).strip("-._")[:64].strip("-._")


def write_rules(rules: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """The file of these (key, document); what is as always is left out."""
    listed = [
        {"key": key} | {name: one for name, one in document.items() if one not in (None, {})} for key, document in rules
    ]
    return write_yaml({"version": VERSION, "rules": listed})


def _documents(file: RulesFile, faults: list[Fault]) -> list[tuple[Any, str]]:
    try:
        documents = read_yaml(file.content)
        checked = [parse_json(to_text(one).encode("utf-8", "surrogatepass")) for one in documents]
    except YamlFault as error:
        faults.append(Fault(file.path, "invalid-yaml", str(error)))
        return []
    except Refused as refused:
        found = refused.faults or (Fault("", refused.slug, refused.detail),)
        faults += [Fault(f"{file.path}#{fault.pointer}", fault.code, fault.message) for fault in found]
        return []
    several = len(checked) > 1
    return [(one, f"{file.path}[{n}]" if several else file.path) for n, one in enumerate(checked) if one is not None]


def _rules_of(document: Any, at: str, known: Mapping[str, Mapping[str, Any]], faults: list[Fault]) -> list[CodeRule]:
    if not isinstance(document, dict) or not isinstance(document.get("rules"), list):
        faults.append(Fault(f"{at}#", "wrong-type", "A file of rules has rules: and a list of them."))
        return []
    for name in document.keys() - {"version", "rules"}:
        faults.append(Fault(f"{at}#{pointer(name)}", "unknown-field", f"A file of rules has no {shown(name)!r}."))
    if document.get("version", VERSION) != VERSION:
        faults.append(Fault(f"{at}#/version", "unknown-version", f"This hub reads version {VERSION}."))
    found = [_rule(one, f"{at}#/rules/{n}", known, faults) for n, one in enumerate(document["rules"][: MAX_RULES + 1])]
    return [one for one in found if one is not None]


def _rule(document: Any, at: str, known: Mapping[str, Mapping[str, Any]], faults: list[Fault]) -> CodeRule | None:
    if not isinstance(document, dict):
        faults.append(
            Fault(at, "wrong-type", f"A rule has a name, a pattern and a handler; also {', '.join(FIELDS[2:])}.")
        )
        return None
    name = document.get("name")
    key = document.get("key", key_of_name(name) if isinstance(name, str) else "")
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        message = "A key has 1 to 64 characters of a-z, 0-9, . _ and -; it is made of the name when it is left out."
        faults.append(Fault(f"{at}/key", "invalid-key", message))
        key = ""
    try:
        draft = parse_subscription({field: one for field, one in document.items() if field != "key"}, known)
    except Refused as refused:
        faults += [Fault(f"{at}{fault.pointer}", fault.code, fault.message) for fault in refused.faults]
        return None
    return CodeRule(key, draft, at) if key else None


def _check_keys(rules: Iterable[CodeRule], faults: list[Fault]) -> None:
    seen: dict[str, str] = {}
    for rule in rules:
        if rule.key in seen:
            message = f"The key {rule.key} is also that of {seen[rule.key]}; give each rule its own."
            faults.append(Fault(f"{rule.at}/key", "duplicate-key", message))
        seen[rule.key] = rule.at
