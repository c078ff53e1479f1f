"""Conditions as SQL: on both databases, what SQL says of an event is what the evaluator says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select

from webapp.domain.conditions import event_view, parse_condition
from webapp.domain.errors import Refused
from webapp.runtime import Runtime
from webapp.store.condition_sql import compile_condition
from webapp.store.events import to_event
from webapp.store.tables import events

NOW = datetime(2026, 11, 23, 13, 30, tzinfo=UTC)

# Few names and values, so that they often meet; among them what parsers, collations and form NFC stumble over.
KEYS = st.sampled_from(["a", "b", "list", "0", "x-y", "é", 'q"t'])
TEXTS = st.sampled_from(
    ["", "a", "ab", "abc", "A", "É", "é", "e\u0301", "\u212a", "ß", "SS", "ss", "Straße", "50%", "a_c", "a[b]c", "a*c",
     "\\", '"', "1", "true", "null", "2026-11-23", "2026-11-23T13:00:00Z", "2026-11-24T01:00:00+14:00", "2026-11-zz",
     "\U0001f600", "\uffee"]
)  # fmt: skip
NUMBERS = st.one_of(
    st.sampled_from(
        [0, 1, -1, 2, 10, 2**53 - 1, 0.1, -0.0, 1.0, 1.5, 19.99, 1e22, 1.5e300, 5e-324, 0.30000000000000004]
    ),
    st.integers(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False),
)
SCALARS = st.one_of(TEXTS, NUMBERS, st.booleans(), st.none())
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)
EVENTS = st.fixed_dictionaries(
    {
        "payload": st.dictionaries(KEYS, VALUES, max_size=4),
        "labels": st.dictionaries(st.sampled_from(["a", "b.c"]), TEXTS, max_size=2),
        "subject": st.none() | TEXTS,
        "source": st.sampled_from(["shop", "Shop", "web/ada"]),
        "type": st.sampled_from(["order.paid", "order.created", "ping"]),
        "version": st.integers(1, 3),
        "timestamp": st.sampled_from([NOW, NOW - timedelta(hours=2), NOW + timedelta(days=3)]),
    }
)
STEPS = st.lists(
    st.one_of(KEYS.map(lambda key: f".{key}"), st.sampled_from(["[0]", "[1]", "[*]", "[*]", ".a", ".list"])), max_size=4
)
FIELDS = st.one_of(
    STEPS.map(lambda steps: "data" + "".join(steps)),
    st.sampled_from(["type", "source", "subject", "version", "time", "label.a", "label.b.c"]),
)
MOMENTS = st.sampled_from(
    ["now", "now-1h", "now+2d", "2026-11-23", "2026-11-23T13:00:00Z", "2026-11-24T01:00:00+02:00"]
)
GLOBS = st.lists(st.sampled_from(["*", "?", "a", "b", "[", "%", "_", "\\", "é", "e"]), min_size=1, max_size=4).map(
    "".join
)
TEXT_VALUES = TEXTS.filter(bool)
WANTED = {
    "eq": SCALARS, "ne": SCALARS, "in": st.lists(SCALARS, min_size=1, max_size=4),
    "not_in": st.lists(SCALARS, min_size=1, max_size=4), "prefix": TEXT_VALUES, "suffix": TEXT_VALUES,
    "contains": TEXT_VALUES, "glob": GLOBS, "gt": NUMBERS | TEXT_VALUES, "gte": NUMBERS | TEXT_VALUES,
    "lt": NUMBERS | TEXT_VALUES, "lte": NUMBERS | TEXT_VALUES, "between": st.tuples(NUMBERS, NUMBERS).map(sorted),
    "is_type": st.sampled_from(["string", "number", "integer", "boolean", "null", "object", "array"]),
    "before": MOMENTS, "after": MOMENTS, "exists": st.just(True), "missing": st.just(True),
}  # fmt: skip
FOLDING = {"eq", "ne", "in", "not_in", "prefix", "suffix", "contains", "glob"}


@st.composite
def leaves(draw: Any) -> dict[str, Any]:
    op = draw(st.sampled_from(sorted(WANTED)))
    leaf = {"field": draw(FIELDS), "op": op, "value": draw(WANTED[op])}
    if draw(st.booleans()):
        leaf["each"] = "all"
    if op in FOLDING and draw(st.booleans()):
        leaf["ci"] = True
    return leaf


TREES = st.recursive(
    leaves(),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=4,
)


def judged(rt: Runtime, tree: Any, rows: list[dict[str, Any]]) -> tuple[list[Any], list[Any], bool]:
    """What SQL says and what the evaluator says of these events, which are gone afterwards."""
    condition = parse_condition(tree)
    clause, exact = compile_condition(condition, rt.db.engine.dialect.name, NOW)
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
