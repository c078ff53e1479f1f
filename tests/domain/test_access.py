"""Who may do what: the whole table of roles and verbs, and nothing by default."""

from __future__ import annotations

import pytest

from webapp.domain.access import GRANTS, SYSTEM, Actor, Role

ROLES: tuple[Role, ...] = ("viewer", "operator", "developer", "admin", "publisher")
MAY = {
    "viewer": {"read"},
    "publisher": {"publish"},
    "operator": {"read", "publish", "operate"},
    "developer": {"read", "publish", "operate", "design"},
    "admin": {"read", "publish", "operate", "design", "administer"},
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("verb", [*GRANTS, "unknown", ""])
def test_actor_can_what_the_role_grants_and_nothing_else(role: Role, verb: str) -> None:
    for kind in ("user", "key"):
        assert Actor(kind, "id", "name", role).can(verb) is (verb in MAY[role])


def test_system_can_everything() -> None:
    assert all(SYSTEM.can(verb) for verb in GRANTS)
