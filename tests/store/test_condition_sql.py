"""Conditions as SQL: on both databases, what SQL says of an event is what the evaluator says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select

from tests.support.trees import EVENTS, NOW, TREES
from webapp.domain.condition_print import print_condition
from webapp.domain.condition_text import parse_condition_text
from webapp.domain.conditions import event_view, parse_condition
from webapp.domain.errors import Refused
from webapp.runtime import Runtime
from webapp.store.condition_sql import compile_condition
from webapp.store.events import to_event
from webapp.store.tables import events


def judged(rt: Runtime, tree: Any, rows: list[dict[str, Any]]) -> tuple[list[Any], list[Any], bool]:
    """What SQL says of the text form and what the evaluator says of the tree, of events that are gone afterwards."""
    condition = parse_condition(tree)
    written = parse_condition_text(print_condition(tree))
    clause, exact = compile_condition(written, rt.db.engine.dialect.name, NOW)
    with rt.db.engine.connect() as conn:
        for n, row in enumerate(rows):
            fixed = {"uid": f"evt_{n:02}", "id": f"evt_{n:02}", "received_at": NOW, "received_by": "system:system"}
            conn.execute(insert(events), row | fixed | {"payload": json.dumps(row["payload"], ensure_ascii=False)})
        found = conn.execute(select(events, clause.label("said")).order_by(events.c.uid)).all()
        conn.rollback()
    assert [row.said for row in found].count(None) == 0, "a clause is never NULL"
    return (
        [bool(row.said) for row in found],
        [condition.evaluate(event_view(to_event(row), NOW)).verdict for row in found],
        exact,
    )


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(tree=TREES, rows=st.lists(EVENTS, min_size=1, max_size=6))
def test_sql_agrees_with_the_evaluator(rt: Runtime, tree: Any, rows: list[dict[str, Any]]) -> None:
    try:
        parse_condition(tree)
    except Refused:
        assume(False)
    said, meant, exact = judged(rt, tree, rows)
    if exact:
        assert said == meant
    else:
        assert all(said[n] for n, verdict in enumerate(meant) if verdict), "an inexact clause leaves nothing out"


@pytest.mark.parametrize(
    ("field", "op", "value", "exact"),
    [
        ("type", "glob", "order.*", True),
        ("data.customer.name", "eq", "Zoë", True),
        ("data.items[*].n", "gt", 1.5, True),
        ("label.team", "in", ["a", 1], True),
        ("time", "after", "now-1h", True),
        ("data.due", "before", "now", False),  # an instant inside a text
        ("data.ip", "cidr", "10.0.0.0/8", False),
        ("data.items[].n", "eq", 1, False),  # through lists, if there are any
        ('data.q"t', "eq", 1, False),  # a name that JSON text writes in another way
    ],
)
def test_it_is_known_what_sql_can_say(field: str, op: str, value: Any, exact: bool) -> None:
    condition = parse_condition({"field": field, "op": op, "value": value})
    assert [compile_condition(condition, name, NOW).exact for name in ("sqlite", "postgresql")] == [exact, exact]


def test_a_part_that_sql_cannot_say_does_not_spoil_the_others(rt: Runtime) -> None:
    tree = {
        "all": [
            {"field": "type", "op": "eq", "value": "a"},
            {"not": {"field": "data.due", "op": "before", "value": "now"}},
        ]
    }
    row = {"labels": {}, "source": "s", "version": 1, "timestamp": NOW}
    said, meant, exact = judged(rt, tree, [row | {"type": name, "payload": {"due": "2020-01-01"}} for name in "ab"])
    assert (said, meant, exact) == ([True, False], [False, False], False)


def test_a_text_that_is_near_the_moment_is_left_to_the_evaluator(rt: Runtime) -> None:
    tree = {"field": "data.due", "op": "after", "value": "now"}
    row = {"type": "a", "labels": {}, "source": "s", "version": 1, "timestamp": NOW}
    dues = ["2026-11-20", "2026-11-23", "2026-11-24T03:00:00+14:00", "never", "2027-01-01"]
    said, meant, _ = judged(rt, tree, [row | {"payload": {"due": due}} for due in dues])
    assert said == [False, True, True, True, True]
    assert meant == [False, False, False, False, True]
