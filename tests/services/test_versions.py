"""Every change of a rule leaves the whole rule behind, in the transaction of the change; any version can come back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support import factories as make
from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, Forbidden, NotFound, Refused
from webapp.domain.subscriptions import parse_subscription
from webapp.runtime import Runtime
from webapp.services import subscriptions as service
from webapp.services.catalog import HandlerInfo, known_handlers, register_handlers
from webapp.store import tables, versions

ADA = Actor("user", "usr_1", "ada", "developer")


def _draft(rt: Runtime, **fields: Any) -> Any:
    return parse_subscription({"name": "Orders", "pattern": "order.*", "handler": "log"} | fields, known_handlers(rt))


@pytest.fixture(autouse=True)
def handlers(rt: Runtime) -> None:
    register_handlers(rt, [HandlerInfo("log"), HandlerInfo("other")])


def _kept(rt: Runtime, subscription_id: str) -> list[tuple[int, str, str, str]]:
    with rt.db.read() as conn:
        page = versions.newest(conn, subscription_id)
    return [(row.revision, row.action, row.actor_name, row.note) for row in page.rows]


def test_each_change_is_a_version_and_any_of_them_comes_back(rt: Runtime) -> None:
    rule = service.create(rt, ADA, _draft(rt, transform={"payload": {"n": "{data.n}"}}))
    service.pause(rt, ADA, rule)  # revision 2 changes nothing of the document
    service.update(rt, ADA, rule, _draft(rt, name="Paid", timeout="5m"), 2, note="too slow")
    service.restore(rt, ADA, rule, 1, 3, "was right")
    assert _kept(rt, rule) == [
        (4, "restored", "ada", "version 1: was right"),
        (3, "updated", "ada", "too slow"),
        (1, "created", "ada", ""),
    ]
    with rt.db.read() as conn:
        first, last = versions.get(conn, rule, 1), versions.get(conn, rule, 4)
    assert first.document == last.document
    row = make.row_of(rt, tables.subscriptions, rule)
    assert (row.name, row.transform, row.timeout_ms) == ("Orders", {"payload": {"n": "{data.n}"}}, 30_000)
    assert row.paused_at is not None
    audited = [entry.action for entry in make.rows_of(rt, tables.audit)]
    assert audited[-1] == "subscription.restored"


def test_rule_from_before_versions_gets_its_first_on_the_first_change(rt: Runtime) -> None:
    rule = make.make_subscription(rt, name="Old", revision=7)
    service.update(rt, ADA, rule, _draft(rt))
    assert [(n, action) for n, action, *_ in _kept(rt, rule)] == [(8, "updated"), (7, "updated")]
    with rt.db.read() as conn:
        assert versions.get(conn, rule, 7).document["name"] == "Old"
    service.restore(rt, ADA, rule, 7)
    assert make.row_of(rt, tables.subscriptions, rule).name == "Old"


def test_restoring_is_refused_when_somebody_was_faster_or_it_cannot_run(rt: Runtime) -> None:
    rule = service.create(rt, ADA, _draft(rt, handler="other"))
    service.update(rt, ADA, rule, _draft(rt))
    for refused, call in (
        (Conflict, lambda: service.restore(rt, ADA, rule, 1, 1)),
        (NotFound, lambda: service.restore(rt, ADA, rule, 9)),
        (Forbidden, lambda: service.restore(rt, replace(ADA, role="viewer"), rule, 1)),
    ):
        with pytest.raises(refused):
            call()
    register_handlers(rt, [HandlerInfo("log")])
    with pytest.raises(Refused) as error:
        service.restore(rt, ADA, rule, 1)
    assert [fault.code for fault in error.value.faults] == ["unknown-handler"]
    assert [n for n, *_ in _kept(rt, rule)] == [2, 1]


def test_what_was_not_saved_leaves_no_version(rt: Runtime) -> None:
    rule = service.create(rt, ADA, _draft(rt))
    with pytest.raises(Conflict):
        service.update(rt, ADA, rule, _draft(rt, name="Late"), 5)
    assert [n for n, *_ in _kept(rt, rule)] == [1]
    service.delete(rt, ADA, rule)
    assert [n for n, *_ in _kept(rt, rule)] == [1]


def test_versions_are_read_in_pages(rt: Runtime) -> None:
    rule = service.create(rt, ADA, _draft(rt))
    for n in range(4):
        service.update(rt, ADA, rule, _draft(rt, name=f"N{n}"))
    with rt.db.read() as conn:
        first = versions.newest(conn, rule, limit=3)
        rest = versions.newest(conn, rule, int(str(first.next)), limit=3)
    assert ([row.revision for row in first.rows], [row.revision for row in rest.rows]) == ([5, 4, 3], [2, 1])
    assert rest.next is None
