"""Marks: told by many, kept once; and drawn beside what changed in the hub itself."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.clock import Clock
from tests.support.factories import make_subscription
from tests.support.people import Program
from webapp.domain.access import SYSTEM, Actor
from webapp.domain.instants import iso
from webapp.domain.marks import MarkDraft
from webapp.runtime import Runtime
from webapp.services import subscriptions
from webapp.services.marks import mark
from webapp.store.marks import changes_since, drop_marks

ADA = Actor("user", "usr_1", "Ada", "operator")


def test_processes_of_one_deploy_make_one_mark(rt: Runtime, clock: Clock) -> None:
    told = [mark(rt, ADA, MarkDraft("Deployed 1.4", clock())) for _ in range(3)]
    mark(rt, ADA, MarkDraft("Deployed 1.5", clock()))
    clock.advance(minutes=1)
    mark(rt, ADA, MarkDraft("Deployed 1.4", clock()))
    assert [is_new for _, is_new in told] == [True, False, False]
    assert len({kept for kept, _ in told}) == 1
    with rt.db.read() as conn:
        found = changes_since(conn, clock() - timedelta(hours=1))
    assert [(one.title, one.who, one.kind) for one in found] == [
        ("Deployed 1.4", "Ada", "deploy"), ("Deployed 1.5", "Ada", "deploy"), ("Deployed 1.4", "Ada", "deploy"),
    ]  # fmt: skip


def test_changes_of_rules_and_pauses_are_marks_with_who_did_them(rt: Runtime, clock: Clock) -> None:
    rule = make_subscription(rt, name="Receipts")
    clock.advance(minutes=1)
    subscriptions.pause(rt, ADA, rule, "maintenance")
    clock.advance(minutes=1)
    with rt.db.read() as conn:
        found = changes_since(conn, clock() - timedelta(hours=1), limit=5)
        later = changes_since(conn, clock())
    assert found[-1].kind == "pause"
    assert (found[-1].action, found[-1].title, found[-1].who) == ("subscription.paused", "Receipts", "Ada")
    assert later == ()


def test_old_marks_are_dropped(rt: Runtime, clock: Clock) -> None:
    mark(rt, SYSTEM, MarkDraft("Deployed 1.3", clock() - timedelta(days=2)))
    mark(rt, SYSTEM, MarkDraft("Deployed 1.4", clock()))
    with rt.db.write() as conn:
        drop_marks(conn, clock() - timedelta(days=1))
    with rt.db.read() as conn:
        assert [one.title for one in changes_since(conn, clock() - timedelta(days=5))] == ["Deployed 1.4"]


def test_api_answers_201_once_and_200_after(api: Program, clock: Clock) -> None:
    first, again = (api.post("/api/v1/marks", {"title": " Deployed 1.4 "}) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json == again.json
    assert first.json is not None
    assert (first.json["title"], first.json["at"]) == ("Deployed 1.4", iso(clock()))


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ({}, "/title"), ({"title": ""}, "/title"), ({"title": "a\nb"}, "/title"), ({"title": "x" * 201}, "/title"),
        ({"title": "x", "at": "yesterday"}, "/at"), ({"title": "x", "at": "2001-01-01T00:00:00Z"}, "/at"),
        ({"title": "x", "who": "me"}, "/who"), ([], ""),
    ],
)  # fmt: skip
def test_api_names_what_is_wrong_with_a_mark(api: Program, document: object, where: str) -> None:
    answer = api.post("/api/v1/marks", document)
    assert answer.status_code == 422
    assert answer.json is not None
    assert [fault["pointer"] for fault in answer.json["errors"]] == [where]
