"""What is wrong with a condition is said with a pointer; its size is bounded."""

from __future__ import annotations

from typing import Any

import pytest

from webapp.domain.conditions import parse_condition
from webapp.domain.errors import Refused

YES = {"field": "type", "op": "exists"}


def _refused(document: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        parse_condition(document)
    assert refused.value.status == 422
    return refused.value


@pytest.mark.parametrize(
    ("document", "pointer", "code"),
    [
        (None, "", "wrong-type"),
        ([], "", "wrong-type"),
        ("x", "", "wrong-type"),
        ({"all": []}, "/all", "wrong-type"),
        ({"any": {}}, "/any", "wrong-type"),
        ({"all": [1]}, "/all/0", "wrong-type"),
        ({"not": []}, "/not", "wrong-type"),
        ({"all": [YES], "any": [YES]}, "", "contradiction"),
        ({"all": [YES], "field": "type"}, "", "contradiction"),
        ({"op": "exists"}, "/field", "required"),
        ({"field": "type"}, "/op", "required"),
        ({"field": "type", "op": "eq"}, "/value", "required"),
        ({"field": "type", "op": "like", "value": "x"}, "/op", "invalid-op"),
        ({"field": "type", "op": ["eq"], "value": "x"}, "/op", "invalid-op"),
        ({"field": "type", "op": "regex", "value": "(a+)+$"}, "/op", "unsupported-pattern"),
        ({"field": "type", "op": "eq", "value": "x", "z/z": 1}, "/z~1z", "unknown-field"),
        ({"field": "payload.x", "op": "exists"}, "/field", "invalid-field"),
        ({"field": "data", "op": "exists"}, "/field", "invalid-field"),
        ({"field": "data.", "op": "exists"}, "/field", "invalid-field"),
        ({"field": "data.a[", "op": "exists"}, "/field", "invalid-field"),
        ({"field": "data.a[-1]", "op": "exists"}, "/field", "invalid-field"),
        ({"field": "database", "op": "exists"}, "/field", "invalid-field"),
        ({"field": "data" + ".a" * 13, "op": "exists"}, "/field", "invalid-field"),
        ({"field": "label.", "op": "exists"}, "/field", "invalid-field"),
        ({"field": "label.A", "op": "exists"}, "/field", "invalid-field"),
        ({"field": 5, "op": "exists"}, "/field", "invalid-field"),
        ({"field": "type", "op": "exists", "value": False}, "/value", "invalid-value"),
        ({"field": "type", "op": "eq", "value": []}, "/value", "invalid-value"),
        ({"field": "type", "op": "eq", "value": float("inf")}, "/value", "invalid-value"),
        ({"field": "type", "op": "in", "value": "x"}, "/value", "invalid-value"),
        ({"field": "type", "op": "in", "value": []}, "/value", "invalid-value"),
        ({"field": "type", "op": "in", "value": [[]]}, "/value", "invalid-value"),
        ({"field": "type", "op": "in", "value": [1] * 1001}, "/value", "invalid-value"),
        ({"field": "type", "op": "prefix", "value": ""}, "/value", "invalid-value"),
        ({"field": "type", "op": "contains", "value": 5}, "/value", "invalid-value"),
        ({"field": "type", "op": "glob", "value": "*" * 257}, "/value", "invalid-value"),
        ({"field": "type", "op": "gt", "value": True}, "/value", "invalid-value"),
        ({"field": "type", "op": "between", "value": [1]}, "/value", "invalid-value"),
        ({"field": "type", "op": "between", "value": [1, "a"]}, "/value", "invalid-value"),
        ({"field": "type", "op": "between", "value": [2, 1]}, "/value", "invalid-value"),
        ({"field": "type", "op": "is_type", "value": "text"}, "/value", "invalid-value"),
        ({"field": "type", "op": "is_type", "value": []}, "/value", "invalid-value"),
        ({"field": "time", "op": "before", "value": "yesterday"}, "/value", "invalid-value"),
        ({"field": "time", "op": "before", "value": "now-"}, "/value", "invalid-value"),
        ({"field": "time", "op": "before", "value": 5}, "/value", "invalid-value"),
        ({"field": "time", "op": "gt", "value": "2026-01-01"}, "/op", "unsuitable-op"),
        ({"field": "type", "op": "gt", "value": "a", "ci": True}, "/ci", "unsuitable-op"),
        ({"field": "type", "op": "eq", "value": "a", "ci": 1}, "/ci", "wrong-type"),
        ({"field": "type", "op": "eq", "value": "a", "each": "some"}, "/each", "invalid-value"),
        ({"field": "type", "op": "eq", "value": "a", "each": []}, "/each", "invalid-value"),
    ],
)
def test_condition_is_refused_with_pointer_and_code_when_it_is_wrong(document: Any, pointer: str, code: str) -> None:
    assert [(fault.pointer, fault.code) for fault in _refused(document).faults] == [(pointer, code)]


def test_condition_is_refused_as_unsupported_pattern_when_it_asks_for_a_regex() -> None:
    assert _refused({"field": "type", "op": "regex", "value": "(a+)+$"}).slug == "unsupported-pattern"
    assert _refused({"field": "type", "op": "nope", "value": "x"}).slug == "invalid-condition"


def test_condition_names_every_fault_below_the_given_pointer() -> None:
    document = {"all": [{"field": "x", "op": "y"}, {"not": {"field": "type", "op": "in", "value": 1}}]}
    with pytest.raises(Refused) as refused:
        parse_condition(document, "/condition")
    pointers = {fault.pointer for fault in refused.value.faults}
    assert pointers == {"/condition/all/0/field", "/condition/all/0/op", "/condition/all/1/not/value"}


def _nested(depth: int) -> Any:
    return YES if depth == 1 else {"not": _nested(depth - 1)}


def test_condition_may_be_8_deep_and_no_deeper() -> None:
    parse_condition(_nested(8))
    assert _refused(_nested(9)).faults[0].code == "too-deep"


def test_condition_may_have_64_comparisons_and_no_more() -> None:
    parse_condition({"all": [YES] * 64})
    assert [fault.code for fault in _refused({"all": [YES] * 100}).faults] == ["too-many"]


def test_condition_may_have_1000_values_and_16_kib_and_no_more() -> None:
    parse_condition({"field": "type", "op": "in", "value": [1] * 1000})
    assert _refused({"field": "type", "op": "eq", "value": "x" * 16_384}).faults[0].code == "too-long"
