"""What an identity provider says of somebody, and what follows: may they come in, as what, and under which name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from webapp.domain.errors import HubError

ROLES = ("viewer", "operator", "developer", "admin")  # the later, the more
LONGEST_SUBJECT, LONGEST_WHOLE = 255, 400  # OpenID Connect Core, section 2; with the issuer
MANY_GROUPS = 1000


class NotAdmitted(HubError):
    """The provider knows them, the hub does not let them in; ``detail`` says why."""

    slug, status, title = "not-admitted", 403, "Not let in"


@dataclass(frozen=True, slots=True)
class Policy:
    """Who is let in, and as what."""

    groups_claim: str = "groups"
    roles: Mapping[str, str] = field(default_factory=dict)  # of groups
    default_role: str = "viewer"
    domains: Sequence[str] = ()
    groups: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody as the provider tells; ``role`` is None where the hub's own word counts."""

    subject: str  # with the issuer before it
    names: tuple[str, ...]  # to be called by, the best first
    role: str | None
    first_role: str


def admit(policy: Policy, claims: Mapping[str, Any]) -> Identity:
    """Who that is. Raises ``NotAdmitted``."""
    issuer, subject = str(claims["iss"]), claims.get("sub")
    fits = isinstance(subject, str) and 0 < len(subject) <= LONGEST_SUBJECT and "\x00" not in subject
    if not fits or len(f"{issuer} {subject}") > LONGEST_WHOLE:
        raise NotAdmitted("The identity provider did not say who you are.")
    mine = groups_of(claims, policy.groups_claim)
    if policy.domains and not _is_in_domain(claims, policy.domains):
        raise NotAdmitted("Your e-mail address is not in a domain that may come in, or is not verified.")
    if policy.groups and not mine & set(policy.groups):
        raise NotAdmitted("You are in none of the groups that may come in.")
    role = _role(policy, mine)
    if role == "none":
        raise NotAdmitted("None of your groups has a role here.")
    return Identity(f"{issuer} {subject}", _names(claims), role if policy.roles else None, role)


def groups_of(claims: Mapping[str, Any], path: str) -> set[str]:
    """The groups in the claim; a dot goes into an object unless a claim has that very name."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    many = [found] if isinstance(found, str) else found
    return {one for one in many[:MANY_GROUPS] if isinstance(one, str)} if isinstance(many, list) else set()


def _role(policy: Policy, mine: set[str]) -> str:
    given = [policy.roles[group] for group in mine if group in policy.roles]
    return max(given, key=ROLES.index, default=policy.default_role)


def _is_in_domain(claims: Mapping[str, Any], domains: Sequence[str]) -> bool:
    address = claims.get("email")
    if not isinstance(address, str) or claims.get("email_verified") not in (True, "true"):
        return False
    return address.rpartition("@")[2].lower() in {one.lower().removeprefix("@") for one in domains}


def _names(claims: Mapping[str, Any]) -> tuple[str, ...]:
    told = [claims.get(name) for name in ("preferred_username", "email", "name")]
    clean = [_username(one) for one in told if isinstance(one, str)]
    return tuple(dict.fromkeys(one for one in clean if one))


def _username(text: str) -> str:
    """As usernames are written here; nothing where nothing is left."""
    plain = unicodedata.normalize("NFKC", text[:200]).strip().lower()
    return re.sub(r"[^a-z0-9._@+-]+", "-", plain).lstrip("._@+-").rstrip("-")[:64]
