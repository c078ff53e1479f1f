"""API keys: what each is limited to, when it ends, and how its secret is replaced."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.clock import Clock
from tests.support.factories import rows_of
from webapp.domain.access import SYSTEM
from webapp.domain.errors import Conflict, Forbidden, Refused
from webapp.domain.key_limits import KeyLimits
from webapp.runtime import Runtime
from webapp.services import keys
from webapp.services.sign_in import KeyRing
from webapp.store import tables


def test_key_is_limited_to_scopes_within_its_role(sqlite_rt: Runtime) -> None:
    _, secret = keys.create_key(sqlite_rt, SYSTEM, "ci", "developer", limits=KeyLimits(scopes=("read", "design")))
    found = KeyRing(sqlite_rt).find(secret)
    assert found is not None
    actor = found.acting("", "")
    assert [verb for verb in ("read", "publish", "operate", "design", "administer") if actor.can(verb)] == [
        "read",
        "design",
    ]
    with pytest.raises(Refused) as refused:
        keys.create_key(sqlite_rt, SYSTEM, "x", "viewer", limits=KeyLimits(scopes=("read", "publish")))
    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [("/scopes", "beyond-role")]


def test_limits_are_kept_for_every_database(rt: Runtime) -> None:
    limits = KeyLimits(("publish",), ("order.*",), ("shop",), False, rt.clock() + timedelta(days=1))
    _, secret = keys.create_key(rt, SYSTEM, "shop", "publisher", limits=limits)
    found = KeyRing(rt).find(secret)
    assert found is not None
    assert found.limits == limits


@pytest.mark.parametrize(
    ("limits", "pointer"),
    [
        (KeyLimits(scopes=()), "/scopes"),
        (KeyLimits(event_types=("a b",)), "/event_types"),
        (KeyLimits(sources=()), "/sources"),
        (KeyLimits(sources=("x" * 201,)), "/sources"),
    ],
)
def test_limits_that_mean_nothing_are_refused(sqlite_rt: Runtime, limits: KeyLimits, pointer: str) -> None:
    with pytest.raises(Refused) as refused:
        keys.create_key(sqlite_rt, SYSTEM, "x", "publisher", limits=limits)
    assert [fault.pointer for fault in refused.value.faults] == [pointer]


def test_key_expires(sqlite_rt: Runtime, clock: Clock) -> None:
    limits = KeyLimits(expires_at=clock() + timedelta(hours=1))
    _, secret = keys.create_key(sqlite_rt, SYSTEM, "x", "publisher", limits=limits)
    assert KeyRing(sqlite_rt).find(secret) is not None
    clock.advance(hours=1)
    assert KeyRing(sqlite_rt).find(secret) is None


def test_rotated_key_has_two_secrets_until_the_overlap_is_over(rt: Runtime, clock: Clock) -> None:
    key_id, old = keys.create_key(rt, SYSTEM, "x", "publisher")
    new, until = keys.rotate_key(rt, SYSTEM, key_id, timedelta(hours=1))
    assert until == clock() + timedelta(hours=1)
    found = [KeyRing(rt).find(secret) for secret in (old, new)]
    assert [one.id for one in found if one] == [key_id, key_id]
    clock.advance(hours=1)
    assert KeyRing(rt).find(old) is None
    assert KeyRing(rt).find(new) is not None
    assert old not in str(rows_of(rt, tables.audit))
    assert new not in str(rows_of(rt, tables.audit))


def test_rotating_without_overlap_or_again_ends_the_older_secrets(sqlite_rt: Runtime) -> None:
    key_id, first = keys.create_key(sqlite_rt, SYSTEM, "x", "publisher")
    second, _ = keys.rotate_key(sqlite_rt, SYSTEM, key_id, timedelta(days=1))
    third, until = keys.rotate_key(sqlite_rt, SYSTEM, key_id, timedelta(0))
    assert until is None
    assert [KeyRing(sqlite_rt).find(one) is not None for one in (first, second, third)] == [False, False, True]
    keys.revoke_key(sqlite_rt, SYSTEM, key_id)
    assert KeyRing(sqlite_rt).find(third) is None
    with pytest.raises(Conflict):
        keys.rotate_key(sqlite_rt, SYSTEM, key_id, timedelta(0))


def test_only_administrators_make_keys(sqlite_rt: Runtime, operator: object) -> None:
    with pytest.raises(Forbidden):
        keys.create_key(sqlite_rt, operator, "x", "publisher")  # type: ignore[arg-type]
