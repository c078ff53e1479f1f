"""Who acts, and what they may do. One table of roles; every door asks ``can``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from webapp.domain.errors import Forbidden
from webapp.domain.globs import Glob

ActorKind = Literal["user", "key", "system", "anonymous"]
Role = Literal["viewer", "operator", "developer", "admin", "publisher"]

# verb -> the roles that may. ``publisher`` is for API keys that only send events.
GRANTS: dict[str, frozenset[str]] = {
    "read": frozenset({"viewer", "operator", "developer", "admin"}),
    "publish": frozenset({"publisher", "operator", "developer", "admin"}),
    "operate": frozenset({"operator", "developer", "admin"}),  # retry, re-run, re-route, cancel, pause, bulk
    "design": frozenset({"developer", "admin"}),  # subscriptions, schedules, sources, event types, rules
    "administer": frozenset({"admin"}),  # users, API keys, secrets, read-only mode
}
PAYLOADS = "payloads"  # no verb of a role: every user and key has it or not, beside the role
HIDDEN = "hidden: you may not view payloads"


@dataclass(frozen=True, slots=True)
class Actor:
    """The one who asks: a signed-in user, an API key, or the hub itself."""

    kind: ActorKind
    id: str
    name: str
    role: Role = "viewer"
    ip: str = ""
    request_id: str = ""
    sees_payloads: bool = True
    scopes: tuple[str, ...] | None = None  # of a key: verbs, within those of its role; None: all of them
    event_types: tuple[str, ...] | None = None  # of a key: patterns of what it may publish; None: any type
    sources: tuple[str, ...] | None = None

    def can(self, verb: str) -> bool:
        """Whether this actor may ``verb``; an unknown verb is never granted."""
        if self.kind == "system":
            return True
        if verb == PAYLOADS:
            return self.sees_payloads and self.can("read")
        within = self.scopes is None or verb in self.scopes
        return within and self.role in GRANTS.get(verb, frozenset())

    def must(self, verb: str) -> None:
        """Raise ``Forbidden`` unless this actor may ``verb``."""
        if not self.can(verb):
            raise Forbidden("Your role does not allow this.")

    def must_send(self, event_type: str, source: str) -> None:
        """Raise ``Forbidden`` when this key is limited to other event types or sources."""
        if not _fits(self.event_types, event_type):
            raise Forbidden(f"This key may not publish events of type {event_type!r}: {_allowed(self.event_types)}.")
        if not _fits(self.sources, source):
            raise Forbidden(f"This key may not publish from source {source!r}: {_allowed(self.sources)}.")


def _fits(patterns: Iterable[str] | None, text: str) -> bool:
    return patterns is None or any(Glob(pattern).matches(text) for pattern in patterns)


def _allowed(patterns: Iterable[str] | None) -> str:
    return f"it is limited to {', '.join(patterns or ())}"


SYSTEM = Actor(kind="system", id="system", name="Signalbox", role="admin")
