"""Which changes of a schema break whom."""

import pytest

from webapp.domain.schema_compat import breaks, incompatible


def record(required=(), **properties):
    return {"type": "object", "required": list(required), "properties": properties}


TEXT, NUMBER, WHOLE = {"type": "string"}, {"type": "number"}, {"type": "integer"}
CLOSED = {"additionalProperties": False}


@pytest.mark.parametrize(
    ("old", "new", "backward", "forward"),
    [
        (record(a=TEXT), record(a=TEXT), [], []),
        (record(a=TEXT), record(a=TEXT, b=TEXT), [], []),
        (record(a=TEXT), record(["a"], a=TEXT), ["/required"], []),
        (record(["a"], a=TEXT), record(a=TEXT), [], ["/required"]),
        (record(a=WHOLE), record(a=NUMBER), [], ["/properties/a/type"]),
        (record(a=TEXT), record(a=NUMBER), ["/properties/a/type"], ["/properties/a/type"]),
        (record(a=TEXT), record(a={"type": ["string", "null"]}), [], ["/properties/a/type"]),
        (record(a=TEXT) | CLOSED, record(a=TEXT, b=TEXT) | CLOSED, [], ["/properties/b"]),
        (record(a=TEXT), record(a=TEXT) | CLOSED, ["/additionalProperties"], []),
        (record(a={"enum": ["x", "y"]}), record(a={"enum": ["x", "y", "z"]}), [], ["/properties/a/enum"]),
        (record(a=TEXT), record(a={"enum": ["x"]}), ["/properties/a/enum"], []),
        (record(a={"minimum": 1}), record(a={"minimum": 5}), ["/properties/a/minimum"], []),
        (record(a={"maxLength": 9}), record(a={"maxLength": 12}), [], ["/properties/a/maxLength"]),
        (record(a=TEXT), record(a=TEXT | {"format": "uuid"}), ["/properties/a/format"], []),
        ({"items": WHOLE}, {"items": NUMBER}, [], ["/items/type"]),
        ({"additionalProperties": WHOLE}, {"additionalProperties": NUMBER}, [], ["/additionalProperties/type"]),
        ({"const": 1}, {"enum": [1, 2]}, [], ["/const"]),
        ({"$ref": "#/$defs/x", "$defs": {"x": WHOLE}}, {"$ref": "#/$defs/y", "$defs": {"y": NUMBER}}, [], ["/type"]),
        ({"description": "a"}, {"description": "b", "x-own": 1}, [], []),
    ],
)  # fmt: skip
def test_each_change_breaks_whom_it_breaks(old, new, backward, forward):
    assert [one.pointer for one in breaks(old, new)] == backward
    assert [one.pointer for one in breaks(new, old)] == forward


def test_modes_ask_for_one_side_or_both():
    narrow, wide = record(["a"], a=TEXT), record(a=TEXT)
    assert incompatible(wide, narrow, "none", 1) == []
    assert len(incompatible(wide, narrow, "backward", 1)) == 1
    assert incompatible(wide, narrow, "forward", 1) == []
    assert len(incompatible(wide, narrow, "full", 1)) == len(incompatible(narrow, wide, "full", 1)) == 1
    assert "version 3" in incompatible(wide, narrow, "backward", 3)[0].message


def test_what_cannot_be_judged_is_said():
    old, new = {"anyOf": [TEXT]}, {"anyOf": [NUMBER]}
    assert [(one.pointer, one.code) for one in breaks(old, new)] == [("/anyOf", "not-judged")]
    assert breaks(old, old) == []


def test_cycles_end():
    tree = {"properties": {"next": {"$ref": "#"}, "value": WHOLE}}
    other = {"properties": {"next": {"$ref": "#"}, "value": NUMBER}}
    assert breaks(tree, tree) == []
    assert {one.code for one in breaks(other, tree)} == {"wrong-type", "not-judged"}
