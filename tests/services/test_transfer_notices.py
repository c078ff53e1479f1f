"""The end of an export or import is told to whoever asked for it, once, and to nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.services import test_exports, test_imports
from tests.support.clock import Clock
from tests.support.factories import make_event, rows_of
from webapp.domain.access import Actor
from webapp.live import NotificationCreated, RecordingPublisher
from webapp.runtime import Runtime
from webapp.services import accounts, exports, imports
from webapp.store import accounts as stored
from webapp.store import tables
from webapp.store.feed_notifications import list_notifications


def person(rt: Runtime, name: str, role: Any) -> Actor:
    row = {"id": rt.new_id("usr"), "username": name, "password_hash": "!", "role": role, "created_at": rt.clock()}
    with rt.db.write() as conn:
        stored.add_user(conn, row)
    return Actor("user", row["id"], name, role)


@pytest.fixture
def ada(rt: Runtime) -> Actor:
    return person(rt, "ada", "operator")


@pytest.fixture
def bob(rt: Runtime) -> Actor:
    return person(rt, "bob", "admin")


def told(rt: Runtime, actor: Actor) -> list[Any]:
    with rt.db.read() as conn:
        rows = list_notifications(conn, actor.id, rt.clock(), view="").rows
    return [(row.severity, row.kind, row.title, row.link) for row in rows]


def test_its_end_is_told_to_whoever_asked_and_only_when_it_took_a_while(
    rt: Runtime, clock: Clock, ada: Actor, bob: Actor, told_facts: list[Any]
) -> None:
    make_event(rt)
    test_exports.start(rt, ada)
    test_exports.finish(rt, clock)
    assert told(rt, ada) == []
    slow = test_exports.start(rt, ada)
    clock.advance(seconds=6)
    test_exports.finish(rt, clock)
    assert told(rt, ada) == [("success", "transfer_ended", "Your export of events is ready", f"/transfers/{slow}")]
    assert told(rt, bob) == []
    [row] = rows_of(rt, tables.notifications)
    assert (row.count, row.dedupe_key) == (1, f"transfer:{slow}")
    assert [one.id for one in told_facts if isinstance(one, NotificationCreated)] == [row.id]


def test_refused_lines_are_told_and_keys_have_no_inbox(rt: Runtime, clock: Clock, ada: Actor) -> None:
    for actor in (ada, test_imports.asker(rt)):
        imports.start(rt, actor, b'{"type": "order.paid"}\nno\nno', "shop", "till.ndjson")
    clock.advance(seconds=6)
    test_imports.finish(rt, clock)
    assert [one[:3] for one in told(rt, ada)] == [
        ("warning", "transfer_ended", "Your import of events ended: 2 lines were refused")
    ]
    [row] = rows_of(rt, tables.notifications)
    assert row.body == "till.ndjson: 1 new, 0 known already."


def test_an_abort_by_somebody_else_is_told_at_once_and_ones_own_is_not(rt: Runtime, ada: Actor, bob: Actor) -> None:
    for actor in (ada, bob):
        exports.step(rt, actor, test_exports.start(rt, ada), "abort")
    assert [one[2] for one in told(rt, ada)] == ["Your export of events was aborted"]
    assert told(rt, bob) == []
    [row] = rows_of(rt, tables.notifications)
    assert row.body == "Aborted by bob."


def test_who_may_not_publish_any_more_hears_that_their_import_ended(
    rt: Runtime, clock: Clock, ada: Actor, bob: Actor
) -> None:
    imports.start(rt, ada, b'{"type": "order.paid"}', "shop")
    accounts.set_role(rt, bob, ada.id, "viewer")
    test_imports.finish(rt, clock)
    assert [(one[0], one[2]) for one in told(rt, ada)] == [("warning", "Your import of events was aborted")]


@pytest.fixture
def told_facts(rt: Runtime) -> list[Any]:
    assert isinstance(rt.live, RecordingPublisher)
    return rt.live.facts
