"""Rows and trees: back and forth without a loss, and editing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings

from tests.support.trees import TREES
from webapp.domain.condition_rows import SHAPES, Block, Row, add, fits_rows, remove, rows_of, tree_of
from webapp.domain.conditions import parse_condition
from webapp.domain.errors import Refused
from webapp.domain.field_paths import paths_of_payload, paths_of_schema
from webapp.domain.operators import OPERATORS

A = {"field": "data.a", "op": "eq", "value": 1}
B = {"field": "type", "op": "prefix", "value": "b"}


def test_every_operator_has_its_inputs() -> None:
    assert set(SHAPES) == set(OPERATORS)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(tree=TREES)
def test_every_tree_comes_back_from_its_rows(tree: Any) -> None:
    try:
        condition = parse_condition(tree)
    except Refused:
        assume(False)
    read = tree_of(rows_of(tree))
    assert not read.faults
    again = parse_condition(read.tree)
    assert repr(again.root) == repr(condition.root)


@pytest.mark.parametrize(
    ("tree", "block"),
    [
        (None, Block()),
        (A, Block("all", (Row("data.a", "eq", "1", kind="number"),))),
        ({"not": {"any": [A, B]}}, Block("none", (Row("data.a", "eq", "1", kind="number"), Row("type", "prefix", "b")))),
        ({"not": B}, Block("none", (Row("type", "prefix", "b"),))),
        ({"all": [B]}, Block("all", (Block("all", (Row("type", "prefix", "b"),)),))),
    ],
)  # fmt: skip
def test_groups_are_shown_as_people_think(tree: Any, block: Block) -> None:
    assert rows_of(tree) == block
    assert tree_of(block).tree == tree


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (Row("data.a", "gt", "many", kind="number"), "Write a number"),
        (Row("data.a", "eq", "9007199254740993", kind="number"), "2^53"),
        (Row("data.a", "in", "a) b"), "double quotes"),
        (Row("data.a", "in", ""), "A value is missing"),
        (Row("data.a", "between", "1", "x", kind="number"), "Write a number"),
    ],
)
def test_row_that_cannot_be_read_says_why(row: Row, said: str) -> None:
    read = tree_of(Block("all", (Row(), row)))
    assert said in read.faults[1,]


def test_blank_rows_and_empty_groups_do_not_count() -> None:
    assert tree_of(Block("all", (Row(), Block("any", (Row(),))))).tree is None
    assert tree_of(Block("any", (Row(op="in"), Row("subject", "exists")))).tree == {
        "any": [{"field": "subject", "op": "exists"}]
    }


def test_parts_are_added_and_removed_by_their_place() -> None:
    root = add(add(Block(), (), Block("any")), (0,), Row("x"))
    assert root == Block("all", (Block("any", (Row("x"),)),))
    assert add(root, (7,), Row()) == root
    assert add(root, (0, 0), Row()) == root
    assert remove(root, (0, 0)) == Block("all", (Block("any"),))
    assert remove(root, (0, 9)) == root
    assert remove(root, ()) == Block()


def test_inputs_hold_no_line_breaks() -> None:
    assert fits_rows({"all": [A, B]})
    assert not fits_rows({"field": "data.a", "op": "in", "value": ["a", "b\nc"]})
    assert not fits_rows({"field": "data.a\nb", "op": "exists"})


def test_fields_are_found_in_payloads_and_schemas() -> None:
    payload = {"a": 1, "b": {"c": [1], "d": [{"e": 1}, {"f": 2}], "x.y": 1}, "n": None, "o": {}}
    assert list(paths_of_payload(payload)) == ["data.a", "data.b.c", "data.b.d[*].e", "data.n"]
    schema = {"properties": {"a": {"type": "number"}, "b": {"properties": {"c": True, "d": {}}},
                             "l": {"items": {"properties": {"s": {"type": "string"}}}}, "t": {"items": {}}}}  # fmt: skip
    assert list(paths_of_schema(schema)) == ["data.a", "data.b.d", "data.l[*].s", "data.t"]
    assert list(paths_of_schema(True)) == []
