"""Who acts, and what they may do. One table of roles; every door asks ``can``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from webapp.domain.errors import Forbidden

ActorKind = Literal["user", "key", "system", "anonymous"]
Role = Literal["viewer", "operator", "admin", "publisher"]

# verb -> the roles that may. ``publisher`` is for API keys that only send events.
GRANTS: dict[str, frozenset[str]] = {
    "read": frozenset({"viewer", "operator", "admin"}),
    "publish": frozenset({"publisher", "operator", "admin"}),
    "operate": frozenset({"operator", "admin"}),  # retry, re-run, re-route, cancel, subscriptions
    "administer": frozenset({"admin"}),  # users and API keys
}


@dataclass(frozen=True, slots=True)
class Actor:
    """The one who asks: a signed-in user, an API key, or the hub itself."""

    kind: ActorKind
    id: str
    name: str
    role: Role = "viewer"
    ip: str = ""
    request_id: str = ""

    def can(self, verb: str) -> bool:
        """Whether this actor may ``verb``; an unknown verb is never granted."""
        return self.kind == "system" or self.role in GRANTS.get(verb, frozenset())

    def must(self, verb: str) -> None:
        """Raise ``Forbidden`` unless this actor may ``verb``."""
        if not self.can(verb):
            raise Forbidden("Your role does not allow this.")


SYSTEM = Actor(kind="system", id="system", name="Signalbox", role="admin")
