"""Schemas of payloads: which are taken, and what they say of a payload."""

from itertools import pairwise

import pytest

from webapp.domain.jsontext import to_text
from webapp.domain.schemas import MAX_SCHEMAS, MAX_TOLD, check_schema, compiled

ORDER = {
    "type": "object",
    "required": ["id", "items"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "pattern": "^A-[0-9]+$"},
        "at": {"type": "string", "format": "date-time"},
        "note": {"type": ["string", "null"], "maxLength": 5},
        "items": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/item"}},
    },
    "$defs": {"item": {"type": "object", "properties": {"price": {"type": "number", "minimum": 0}}}},
}


def judged(schema, payload):
    faults, total = compiled(to_text(schema)).faults(payload, "/payload")
    return [(one.pointer, one.code) for one in faults], total


def test_a_payload_that_fits_has_no_faults():
    good = {"id": "A-1", "items": [{"price": 3.5}], "at": "2026-11-23T14:00:00Z", "note": None}
    assert compiled(to_text(ORDER)).fits(good)
    assert judged(ORDER, good) == ([], 0)


def test_every_fault_is_named_with_its_place_in_the_event():
    bad = {"id": "B", "items": [{"price": 1}, {"price": -1}], "at": "yesterday", "note": "too long", "a/b": 1}
    found, total = judged(ORDER, bad)
    assert total == 5
    assert set(found) == {
        ("/payload/id", "invalid-format"),
        ("/payload/items/1/price", "out-of-range"),
        ("/payload/at", "invalid-format"),
        ("/payload/note", "invalid-length"),
        ("/payload/a~1b", "unknown-field"),
    }
    assert judged(ORDER, {"items": [{}]}) == ([("/payload/id", "required")], 1)


def test_messages_show_little_of_a_payload_and_nothing_unprintable():
    schema = {"properties": {"a": {"contains": {"type": "integer"}}, "b": {"dependentSchemas": {"x": False}}}}
    faults, _ = compiled(to_text(schema)).faults({"a": ["\u202e\x1b" * 500], "b": {"x": 1}})
    assert all(len(one.message) < 200 and one.message.isprintable() for one in faults)


def test_many_faults_are_counted_and_few_are_kept():
    schema = {"additionalProperties": {"type": "string"}}
    found, total = judged(schema, {str(n): n for n in range(MAX_TOLD + 10)})
    assert (len(found), total) == (20, MAX_TOLD)


@pytest.mark.parametrize(
    ("schema", "at", "code"),
    [
        ([], "", "wrong-type"),
        (True, "", "wrong-type"),
        ({"$ref": "http://example.com/x"}, "/$ref", "remote-reference"),
        ({"$ref": "file:///etc/passwd"}, "/$ref", "remote-reference"),
        ({"$ref": "other.json#/x"}, "/$ref", "remote-reference"),
        ({"$id": "http://example.com/", "$ref": "x"}, "/$ref", "remote-reference"),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, "/$ref", "remote-reference"),
        ({"properties": {"a": {"$id": "http://x/"}}}, "/properties/a/$id", "unsupported"),
        ({"$dynamicRef": "http://example.com/x"}, "/$dynamicRef", "unsupported"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/$schema", "unsupported"),
        ({"$ref": "#/$defs/none"}, "/$ref", "broken-reference"),
        ({"$ref": "#/x", "x": {"$ref": "http://q"}}, "/$ref", "broken-reference"),
        ({"type": "strin"}, "/type", "invalid-value"),
        ({"properties": {"a": {"minLength": -1}}}, "/properties/a/minLength", "out-of-range"),
        ({"pattern": "(?=a)b"}, "/pattern", "invalid-format"),
        ({"pattern": "(a{1000}){1000}"}, "/pattern", "invalid-format"),
        ({"pattern": "a" * 1001}, "", "too-large"),
        ({"$defs": {str(n): {} for n in range(MAX_SCHEMAS)}}, "", "too-many"),
        ({"patternProperties": {f"^{n}": {} for n in range(101)}}, "", "too-many"),
        ({"description": "x" * 70_000}, "", "too-large"),
    ],
)  # fmt: skip
def test_a_hostile_schema_is_refused_with_its_place(schema, at, code):
    assert (at, code) in [(one.pointer, one.code) for one in check_schema(schema)]


def nested(levels):
    schema = {}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


def test_depth_is_bounded():
    assert check_schema(nested(60)) == []
    assert {one.code for levels in (70, 400, 50_000) for one in check_schema(nested(levels))} == {"too-deep"}


def test_pointers_begin_where_the_schema_stands():
    assert [one.pointer for one in check_schema({"type": 3}, "/versions/0/schema")] == ["/versions/0/schema/type"]


def test_data_that_looks_like_a_schema_is_data():
    assert check_schema({"enum": [{"$ref": "http://x"}], "default": {"$id": "q"}, "x-own": {"$ref": 3}}) == []


def test_a_pattern_costs_no_more_than_its_text_is_long():
    slow = compiled(to_text({"properties": {"a": {"pattern": "^(a+)+$"}}}))
    assert not slow.fits({"a": "a" * 100_000 + "!"})


def doubling(levels):
    names = [f"a{n}" for n in range(levels + 1)]
    defs = {name: {"allOf": [{"$ref": f"#/$defs/{after}"}] * 2} for name, after in pairwise(names)}
    return {"$ref": "#/$defs/a0", "$defs": defs | {names[-1]: {"type": "integer"}}}


BRANCHES = {"oneOf": [{"properties": {"l": {"$ref": "#"}}}, {"properties": {"l": {"$ref": "#"}}}]}


@pytest.mark.parametrize(
    ("schema", "codes"),
    [
        (doubling(3), []),
        (doubling(25), ["too-expensive"]),
        (BRANCHES, ["too-expensive"]),
        ({"$ref": "#"}, ["endless"]),
        ({"properties": {"next": {"$ref": "#"}, "other": {"$ref": "#"}}}, []),
        ({"anyOf": [{"items": {"$ref": "#"}}, {"additionalProperties": {"$ref": "#"}}, {"type": "string"}]}, []),
    ],
)
def test_a_schema_that_multiplies_its_work_is_refused(schema, codes):
    assert [one.code for one in check_schema(schema)] == codes
