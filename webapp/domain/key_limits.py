"""What an API key is limited to, within its role: verbs, event types, sources, payloads, a last day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from webapp.domain.access import GRANTS, Role
from webapp.domain.errors import Fault, Refused

PATTERNS, PATTERN_CHARS = 50, 200
SCOPES = tuple(GRANTS)


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """None: no limit of that kind. Patterns are globs: ``order.*``."""

    scopes: tuple[str, ...] | None = None
    event_types: tuple[str, ...] | None = None
    sources: tuple[str, ...] | None = None
    sees_payloads: bool = True
    expires_at: datetime | None = None

    def columns(self) -> dict[str, Any]:
        """As they are stored."""
        lists = {name: _listed(getattr(self, name)) for name in ("scopes", "event_types", "sources")}
        return {**lists, "sees_payloads": self.sees_payloads, "expires_at": self.expires_at}

    def check(self, role: str, now: datetime) -> None:
        """Raise ``Refused`` (invalid-key) with everything that is wrong with them for a key of that role."""
        faults = [
            *_scope_faults(self.scopes, role),
            *_pattern_faults("event_types", self.event_types),
            *_pattern_faults("sources", self.sources),
        ]
        if self.expires_at is not None and self.expires_at <= now:
            faults.append(Fault("/expires_at", "past", "This time has passed already."))
        if faults:
            raise Refused("invalid-key", "The API key cannot have these limits.", faults=faults)


def may_hold(role: str, scope: str) -> bool:
    """Whether a key of that role can have the scope."""
    return role in GRANTS.get(scope, frozenset())


def _scope_faults(scopes: Sequence[str] | None, role: str) -> list[Fault]:
    if scopes is None:
        return []
    if not scopes:
        return [Fault("/scopes", "empty", "Choose at least one, or leave all of them to the role.")]
    if role not in get_args(Role):
        return []  # told elsewhere
    beyond = [scope for scope in scopes if not may_hold(role, scope)]
    held = ", ".join(scope for scope in SCOPES if may_hold(role, scope))
    return [Fault("/scopes", "beyond-role", f"The role {role} has {held}; not {scope[:40]!r}.") for scope in beyond[:5]]


def _pattern_faults(name: str, patterns: Sequence[str] | None) -> list[Fault]:
    if patterns is None:
        return []
    if not 1 <= len(patterns) <= PATTERNS:
        return [Fault(f"/{name}", "length", f"Give 1 to {PATTERNS} patterns, or none for any.")]
    if all(_is_pattern(pattern) for pattern in patterns):
        return []
    return [Fault(f"/{name}", "grammar", f"A pattern has 1 to {PATTERN_CHARS} characters and no spaces: order.*")]


def _is_pattern(text: str) -> bool:
    return 1 <= len(text) <= PATTERN_CHARS and text.isprintable() and " " not in text


def _listed(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else list(dict.fromkeys(values))


UNLIMITED = KeyLimits()
