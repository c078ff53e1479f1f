"""Refusals in the audit log: one per actor and route in a while, with how many were left out, and never a flood."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from tests.support.factories import rows_of
from tests.support.people import Person, Program
from webapp.domain.access import Actor
from webapp.runtime import Runtime
from webapp.services import denials
from webapp.services.denials import BURST, EVERY_S, REFILL_S, Denials
from webapp.store import tables


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that ``denials`` goes by."""
    moment = [1_000.0]
    monkeypatch.setattr(denials.time, "monotonic", lambda: moment[0])
    return moment


def noted(rt: Runtime) -> list[Any]:
    return [row for row in rows_of(rt, tables.audit) if row.action == "access.denied"]


def test_one_entry_per_route_says_how_many_were_left_out(rt: Runtime, viewer: Actor, now: list[float]) -> None:
    seen = Denials(rt)
    for _ in range(50):
        seen.note(viewer, "POST /demo", "Your role does not allow this.")
    assert len(noted(rt)) == 1
    now[0] += EVERY_S
    seen.note(viewer, "POST /demo", "Your role does not allow this.")
    first, second = noted(rt)
    assert (first.actor_id, first.target_id, first.ip) == (viewer.id, "POST /demo", viewer.ip)
    assert first.details == {"why": "Your role does not allow this."}
    assert second.details["not_listed_before"] == 49


def test_going_from_route_to_route_does_not_flood(
    sqlite_rt: Runtime, viewer: Actor, operator: Actor, now: list[float]
) -> None:
    seen = Denials(sqlite_rt)
    for n in range(500):
        seen.note(viewer, f"GET /{n}", "no")
    assert len(noted(sqlite_rt)) == BURST
    now[0] += REFILL_S
    for n in range(500, 600):
        seen.note(viewer, f"GET /{n}", "no")
    assert len(noted(sqlite_rt)) == BURST + 1
    seen.note(operator, "GET /1", "no")
    assert len(noted(sqlite_rt)) == BURST + 2, "others are heard"


def test_people_and_keys_that_are_refused_are_named(
    app: Flask, sqlite_rt: Runtime, as_viewer: Person, as_publisher: Program, stranger: Person
) -> None:
    for _ in range(3):
        assert as_viewer.get("/settings/users").status_code == 403
        assert as_publisher.get("/api/v1/events/evt_secret").status_code == 403
        assert stranger.get("/settings/users").status_code == 302
    found = {(row.actor_kind, row.target_id) for row in noted(sqlite_rt)}
    assert found == {("user", "GET /settings/users"), ("key", "GET /api/v1/events/<event_id>")}
    assert len(noted(sqlite_rt)) == 2
