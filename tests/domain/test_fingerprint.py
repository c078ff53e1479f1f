"""Failures that are the same have one fingerprint, whatever they were about."""

from __future__ import annotations

import pytest

from webapp.domain.fingerprint import fingerprint, normalised


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("order o_17 not found", "order o_99812 not found"),
        ("no result within 30 s", "no result within 2.5 s"),
        ("key 'blue sky' is missing", 'key "red" is missing'),
        ("cannot reach 10.0.0.7:8080", "cannot reach 10.0.0.12:80"),
        ("id 6f9619ff-8b86-d011-b42d-00c04fc964ff is taken", "id 00000000-0000-0000-0000-000000000001 is taken"),
        ("timed  out\nafter 3", "timed out after 4"),
    ],
)
def test_same_failure_of_other_cases_is_the_same(one: str, other: str) -> None:
    assert fingerprint("ValueError", one) == fingerprint("ValueError", other)


@pytest.mark.parametrize(
    ("one", "other"), [("503 from shop", "404 from shop"), ("order not found", "customer not found"), ("", "no")]
)
def test_other_failures_are_told_apart(one: str, other: str) -> None:
    assert fingerprint("Retry", one) != fingerprint("Retry", other)
    assert fingerprint("ValueError", one) != fingerprint("KeyError", one)


def test_long_and_hostile_messages_are_taken() -> None:
    assert normalised("a1" * 100_000) == "#"
    assert len(fingerprint("E\ud800", "\ud800" * 400)) == 12
