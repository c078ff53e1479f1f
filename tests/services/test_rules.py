"""Rules as code: planned, applied in one transaction, applied again without effect, pruned only what came from files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support import factories as make
from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, Forbidden, Refused
from webapp.domain.rulesfile import RulesFile, write_rules
from webapp.domain.subscriptions import parse_subscription
from webapp.runtime import Runtime
from webapp.services import rules
from webapp.services import subscriptions as service
from webapp.services.catalog import HandlerInfo, known_handlers, register_handlers
from webapp.store import tables

CI = Actor("key", "key_1", "ci", "developer")
SCHEMA = {"type": "object", "properties": {"secret": {"type": "string"}, "url": {"type": "string"}}}


@pytest.fixture(autouse=True)
def handlers(rt: Runtime) -> None:
    register_handlers(rt, [HandlerInfo("log"), HandlerInfo("hook", options_schema=SCHEMA)])


def _rule(key: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    return key, {"name": key.title(), "pattern": "order.*", "handler": "log"} | fields


def _wish(*listed: tuple[str, dict[str, Any]], **more: Any) -> rules.Wish:
    return rules.Wish([RulesFile("rules.yaml", write_rules(listed).encode())], **more)


def _actions(plan: Any) -> list[tuple[str, str]]:
    return [(step.action, step.key) for step in plan.steps]


def _alive(rt: Runtime) -> dict[str, Any]:
    return {row.name: row for row in make.rows_of(rt, tables.subscriptions) if row.deleted_at is None}


def test_applied_twice_changes_nothing_the_second_time(rt: Runtime) -> None:
    wish = _wish(_rule("one"), _rule("two", timeout="5m"), note="commit 1")
    assert rules.plan(rt, CI, wish).has_drift
    assert _alive(rt) == {}
    first = rules.apply(rt, CI, wish)
    assert _actions(first) == [("create", "one"), ("create", "two")]
    before = [
        make.rows_of(rt, table)
        for table in (tables.subscriptions, tables.audit, tables.subscription_versions, tables.meta)
    ]
    again = rules.apply(rt, CI, wish)
    assert (again.has_drift, _actions(again)) == (False, [("unchanged", "one"), ("unchanged", "two")])
    assert before == [
        make.rows_of(rt, table)
        for table in (tables.subscriptions, tables.audit, tables.subscription_versions, tables.meta)
    ]
    assert [(row.action, row.note) for row in before[2]] == [("applied", "commit 1")] * 2
    assert [row.details["key"] for row in before[1]] == ["one", "two"]


def test_drift_by_hand_is_shown_field_by_field_and_undone(rt: Runtime) -> None:
    wish = _wish(_rule("one", condition={"field": "data.n", "op": "gt", "value": 1}))
    (step,) = rules.apply(rt, CI, wish).steps
    (row,) = _alive(rt).values()
    service.pause(rt, CI, row.id)  # no file says whether a rule is paused
    assert not rules.plan(rt, CI, wish).has_drift
    by_hand = parse_subscription({"name": "Renamed", "pattern": "order.*", "handler": "log"}, known_handlers(rt))
    service.update(rt, CI, row.id, by_hand)
    (step,) = rules.plan(rt, CI, wish).steps
    assert [(one.field, one.before) for one in step.changes] == [("name", "Renamed"), ("condition", None)]
    rules.apply(rt, CI, wish)
    (row,) = _alive(rt).values()
    assert (row.name, row.code_key, row.paused_at is not None) == ("One", "one", True)


def test_prune_deletes_what_came_from_this_set_and_nothing_else(rt: Runtime) -> None:
    make.make_subscription(rt, name="By hand")
    rules.apply(rt, CI, _wish(_rule("theirs"), set="other"))
    rules.apply(rt, CI, _wish(_rule("one"), _rule("two")))
    less = _wish(_rule("one"))
    assert _actions(rules.plan(rt, CI, less)) == [("unchanged", "one")]
    done = rules.apply(rt, CI, _wish(_rule("one"), prune=True))
    assert _actions(done) == [("unchanged", "one"), ("delete", "two")]
    assert set(_alive(rt)) == {"By hand", "Theirs", "One"}
    assert make.rows_of(rt, tables.audit)[-1].details == {"cancelled": 0, "set": "default", "key": "two"}
    rules.apply(rt, CI, _wish(_rule("two")))  # a key that was deleted may come back
    assert set(_alive(rt)) == {"By hand", "Theirs", "One", "Two"}


def test_rule_made_by_hand_is_taken_over_by_its_name(rt: Runtime) -> None:
    rule = make.make_subscription(rt, name="One", pattern="order.*")
    done = rules.apply(rt, CI, _wish(_rule("first", name="One")))
    assert _actions(done) == [("adopt", "first")]
    assert [(row.id, row.code_set, row.code_key) for row in _alive(rt).values()] == [(rule, "default", "first")]
    renamed = rules.apply(rt, CI, _wish(_rule("first", name="Renamed")))
    assert _actions(renamed) == [("update", "first")]
    assert _alive(rt)["Renamed"].id == rule


def test_what_cannot_be_matched_is_refused_and_nothing_is_done(rt: Runtime) -> None:
    rules.apply(rt, CI, _wish(_rule("taken"), set="other"))
    make.make_subscription(rt, name="Twice")
    make.make_subscription(rt, name="Twice")
    wish = _wish(_rule("new"), _rule("taken"), _rule("twice"), _rule("dots", handler="hook", options={"secret": "•••"}))
    for call in (rules.plan, rules.apply):
        with pytest.raises(Refused) as refused:
            call(rt, CI, wish)
        assert {(fault.pointer, fault.code) for fault in refused.value.faults} == {
            ("rules.yaml#/rules/1/key", "belongs-to-another-set"),
            ("rules.yaml#/rules/2/name", "ambiguous-name"),
            ("rules.yaml#/rules/3/options/secret", "masked-value"),
        }
    assert "New" not in _alive(rt)


def test_apply_is_all_or_nothing_and_holds_to_its_plan(rt: Runtime) -> None:
    wish = _wish(_rule("one"), _rule("two", handler="hook", options={"url": "{secret.UNKNOWN}"}))
    with pytest.raises(Refused, match="UNKNOWN"):
        rules.apply(rt, CI, wish)
    assert _alive(rt) == {}
    seen = rules.plan(rt, CI, _wish(_rule("one"))).digest
    rules.apply(rt, CI, _wish(_rule("one", timeout="9s")))
    with pytest.raises(Conflict, match="changed since"):
        rules.apply(rt, CI, _wish(_rule("one"), digest=seen))
    rules.apply(rt, CI, _wish(_rule("one"), digest=rules.plan(rt, CI, _wish(_rule("one"))).digest))
    with pytest.raises(Forbidden):
        rules.plan(rt, Actor("key", "key_2", "reader", "viewer"), _wish(_rule("one")))


def test_export_goes_back_in_without_drift_and_keeps_what_is_hidden(rt: Runtime) -> None:
    rules.apply(rt, CI, _wish(_rule("one", handler="hook", options={"secret": "s3cret", "url": "https://x.example"})))
    make.make_subscription(rt, name="By hand")
    make.make_subscription(rt, name="By hand")
    text = rules.export(rt, CI)
    assert "s3cret" not in text
    assert [line.split()[-1] for line in text.splitlines() if " key: " in line] == ["by-hand", "by-hand-2", "one"]
    back = rules.Wish([RulesFile("x", rules.export(rt, CI, "default").encode())])
    assert not rules.plan(rt, CI, back).has_drift
    changed = rules.Wish([RulesFile("x", rules.export(rt, CI, "default").replace("x.example", "y.example").encode())])
    (step,) = rules.apply(rt, CI, changed).steps
    assert [one.field for one in step.changes] == ["options"]
    assert _alive(rt)["One"].options == {"secret": "s3cret", "url": "https://y.example"}


def test_two_who_apply_at_the_same_time_end_as_one(rt: Runtime) -> None:
    wishes = [
        _wish(_rule("one", timeout=f"{n + 1}s"), _rule("two", timeout=f"{9 - n}s"), note=f"n{n}") for n in range(4)
    ]
    rules.apply(rt, CI, wishes[0])

    def attempt(wish: rules.Wish) -> str:
        try:
            return "done" if rules.apply(rt, CI, wish).has_drift else "nothing to do"
        except Conflict:
            return "conflict"

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(attempt, wishes))
    assert "done" in said
    timeouts = {row.code_key: row.timeout_ms for row in _alive(rt).values()}
    assert (timeouts["one"] + timeouts["two"]) == 10_000, "both rules are of one and the same apply"
    assert len(_alive(rt)) == 2
