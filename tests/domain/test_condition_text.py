"""The text form: what it says, that every tree can be written in it and comes back, and faults that help."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.support.trees import TREES
from webapp.domain.condition_print import free_text, print_condition
from webapp.domain.condition_text import MAX_NESTING, parse_condition_text, parse_values
from webapp.domain.conditions import Condition, parse_condition
from webapp.domain.errors import Refused
from webapp.domain.jsontext import to_text


def _leaf(field: str, op: str, value: Any = None, **more: Any) -> dict[str, Any]:
    return (
        {"field": field, "op": op} | ({} if value is None and op in {"exists", "missing"} else {"value": value}) | more
    )


A, B, C = _leaf("data.a", "gt", 1), _leaf("data.b", "exists"), _leaf("type", "glob", "order.*")

SAID = [  # printed just so
    ("type:order.*", C),
    ("type:order.paid", _leaf("type", "eq", "order.paid")),
    ('type:"order.*"', _leaf("type", "eq", "order.*")),
    ("type~order.paid", _leaf("type", "glob", "order.paid")),
    ('subject~"a *"', _leaf("subject", "glob", "a *")),
    ("data.amount>100", _leaf("data.amount", "gt", 100)),
    ("data.amount<=-1.50e3", None),
    ("data.amount!=1.0", _leaf("data.amount", "ne", 1.0)),
    ('data.amount:"100"', _leaf("data.amount", "eq", "100")),
    ("data.paid:true", _leaf("data.paid", "eq", True)),
    ('data.paid:"null"', _leaf("data.paid", "eq", "null")),
    ("data.note:null", _leaf("data.note", "eq", None)),
    ("label.order:12", _leaf("label.order", "eq", "12")),
    ("label.order:`12`", _leaf("label.order", "eq", 12)),
    ("version>=2", _leaf("version", "gte", 2)),
    ('data.a:""', _leaf("data.a", "eq", "")),
    ('data.a:"say \\"hi\\""', _leaf("data.a", "eq", 'say "hi"')),
    ('data.a:"or"', _leaf("data.a", "eq", "or")),
    ("data.a:it's", _leaf("data.a", "eq", "it's")),
    ("data.url prefix https://a.example/?q=1", _leaf("data.url", "prefix", "https://a.example/?q=1")),
    ("data.code suffix 100", _leaf("data.code", "suffix", "100")),
    ("data.code contains x ci", _leaf("data.code", "contains", "x", ci=True)),
    ("data.tags:new ci each:all", _leaf("data.tags", "eq", "new", ci=True, each="all")),
    ('data.a in (1, "2", x, null)', _leaf("data.a", "in", [1, "2", "x", None])),
    ('source not in (a, "b c")', _leaf("source", "not_in", ["a", "b c"])),
    ("data.a between 1 and 2.5", _leaf("data.a", "between", [1, 2.5])),
    ("data.a between a and b", _leaf("data.a", "between", ["a", "b"])),
    ("data.a exists", _leaf("data.a", "exists")),
    ("subject missing", _leaf("subject", "missing")),
    ("data.a is_type number", _leaf("data.a", "is_type", "number")),
    ("data.ip cidr 10.0.0.0/8", _leaf("data.ip", "cidr", "10.0.0.0/8")),
    ("after:-24h", _leaf("time", "after", "now-24h")),
    ("before:2026-11-23T13:00:00+02:00", _leaf("time", "before", "2026-11-23T13:00:00+02:00")),
    ("data.due after now", _leaf("data.due", "after", "now")),
    ("data.due before +2d", _leaf("data.due", "before", "now+2d")),
    ('data["first name"][0].x[*]:1', _leaf("data.first name[0].x[*]", "eq", 1)),
    ('data["a:b"]["é\\""]["\\n"].c[]:1', _leaf('data.a:b.é".\n.c[]', "eq", 1)),
    ("data.a>1 data.b exists", {"all": [A, B]}),
    ("data.a>1 OR data.b exists", {"any": [A, B]}),
    ("data.a>1 (data.b exists OR type:order.*)", {"all": [A, {"any": [B, C]}]}),
    ("(data.a>1 data.b exists) OR type:order.*", {"any": [{"all": [A, B]}, C]}),
    ("(data.a>1 data.b exists) type:order.*", {"all": [{"all": [A, B]}, C]}),
    ("NOT data.a>1 data.b exists", {"all": [{"not": A}, B]}),
    ("NOT (data.a>1 OR data.b exists)", {"not": {"any": [A, B]}}),
    ("NOT NOT data.a>1", {"not": {"not": A}}),
    ("all(data.a>1)", {"all": [A]}),
    ("any(data.a>1 data.b exists)", {"any": [{"all": [A, B]}]}),
    ('"time out"', free_text("time out")),
    ('data.a>1 "exists" "not"', {"all": [A, free_text("exists"), free_text("not")]}),
]  # fmt: skip

UNDERSTOOD = [  # and printed in another way
    ("data.amount > 100", "data.amount>100"),
    ("data.amount = 5", "data.amount:5"),
    ("type=order.*", 'type:"order.*"'),
    ("type:(a, b)", "type in (a, b)"),
    ("type != ( a,b )", "type not in (a, b)"),
    ("a and not b", '"a" NOT "b"'),
    ("data.a>1 or data.a<0 AND data.b exists", "data.a>1 OR (data.a<0 data.b exists)"),
    ("-type:ping -(data.a>1 data.b:2)", "NOT type:ping NOT (data.a>1 data.b:2)"),
    ("none(type:a, type:b)", "NOT (type:a OR type:b)"),
    ("all(data.a exists, data.b exists)", "data.a exists data.b exists"),
    ("time out", '"time" "out"'),
    ("((type:a))", "type:a"),
    ("time after now-24h", "after:-24h"),
    ("data.n eq 5 data.n gte 5 data.n ne 6", "data.n:5 data.n>=5 data.n!=6"),
    ("data.when:007", 'data.when:"007"'),
    ('\n type:a\n\tOR\r\ntype:b ', "type:a OR type:b"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "tree"), SAID)
def test_text_says_this_tree_and_is_printed_so(text: str, tree: Any) -> None:
    found = parse_condition_text(text)
    if tree is not None:
        assert to_text(found.to_json()) == to_text(tree)
        assert print_condition(tree) == text


@pytest.mark.parametrize(("text", "printed"), UNDERSTOOD)
def test_text_may_be_written_in_other_ways(text: str, printed: str) -> None:
    assert print_condition(parse_condition_text(text).to_json()) == printed


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        ("", 1, "Write a comparison"),
        ("type:", 6, "A value is missing"),
        ("type:a data.amount", 8, "data.amount>100"),
        ("(type:a", 8, ") is missing"),
        ("type:a) x", 7, "No parenthesis is open"),
        ("type:a amount>5", 8, "Did you mean data.amount"),
        ("status:dead", 1, "no field 'status'"),
        ('type:"a', 6, "closing double quote"),
        ("type in a", 9, "in parentheses"),
        ("type in (a", 11, ") is missing"),
        ("data.a between 1 2", 17, "between 1 and 10"),
        ("type:a OR", 10, "comparison is expected"),
        ("type:a data.b:1 version between 2 and 1", 17, "first must not be larger"),
        ("type:x data.a regex y", 8, "data.a>100"),
        ("time:5", 1, "before, after"),
        ("after:soon", 1, "2026-11-23"),
        ("data.a:9007199254740993", 24, "2^53"),
        ('data.a:"\\u0000"', 16, "NUL"),
        ("data.a>1 ci", 1, "upper and lower case"),
        ("NOT " * (MAX_NESTING + 1) + "a", 129, "too deeply"),
        ("(" * 5000, 33, "too deeply"),
        ("NOT " * 9 + "type:a", 33, "8 deep"),
        ("a " * 65, 33, "64 comparisons"),
    ],
)
def test_fault_says_where_and_how(text: str, at: int, said: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_condition_text(text)
    (fault, *_) = refused.value.faults
    assert fault.message.startswith(f"At character {at},"), fault.message
    assert said in fault.message


def _same(condition: Condition, other: Condition) -> bool:
    return condition.root == other.root and repr(condition.root) == repr(other.root)


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(tree=TREES)
def test_every_tree_comes_back_from_its_text(tree: Any) -> None:
    try:
        condition = parse_condition(tree)
    except Refused:
        assume(False)
    assert _same(parse_condition_text(print_condition(tree)), condition)


@settings(max_examples=150, deadline=None)
@given(value=st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=12))
def test_every_text_comes_back_as_value_name_and_word(value: str) -> None:
    step = value.translate(str.maketrans("", "", ".[]")) or "x"
    parts = [_leaf(f"data.{step}", "eq", value), _leaf("data.x", "in", [value, value]), free_text(value),
             _leaf("label.a", "gt", value), _leaf("data.x", "glob", value), _leaf("source", "prefix", value)]  # fmt: skip
    tree = {"any": parts}
    assert to_text(parse_condition_text(print_condition(tree)).to_json()) == to_text(tree)


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet='abdt.:>=<!~()[]",`*? -1\\notrype', max_size=30))
def test_whatever_is_typed_is_understood_or_refused(text: str) -> None:
    try:
        condition = parse_condition_text(text)
    except Refused:
        return
    assert _same(parse_condition_text(print_condition(condition.to_json())), condition)


def test_list_of_values() -> None:
    assert parse_values('a, "b, c" ,5', is_text=False) == ["a", "b, c", 5]
    assert parse_values("5", is_text=True) == ["5"]
    for text in ("", "a,", "a) (b", "a b"):
        with pytest.raises(ValueError, match=r"."):
            parse_values(text, is_text=False)
