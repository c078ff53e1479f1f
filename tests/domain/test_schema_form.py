"""Forms made of schemas: documents come back as they were, faults stand at their fields, nothing is dropped."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webapp.domain.errors import Fault, Refused
from webapp.domain.prefill import pairs_of, payload_of
from webapp.domain.schema_form import MAX_DEPTH, MAX_ROWS, Field, FormTooLargeError, place_faults, read, same
from webapp.domain.schema_form_data import add, data_of, remove, starting_document
from webapp.domain.schema_shape import shape_of
from webapp.domain.schemas import check_schema

NASTY = "\"><script>alert(1)</script>'p-0\n.json"
ORDER: dict[str, Any] = {
    "type": "object",
    "required": ["order_id", "amount", "currency", "customer"],
    "properties": {
        "order_id": {"type": "string", "minLength": 3, "examples": ["o_88213"]},
        "amount": {"type": "number", "minimum": 0, "title": "Amount"},
        "currency": {"enum": ["EUR", "USD", None, 1, 1.0, True]},
        "customer": {"$ref": "#/$defs/customer"},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}}},
        "tags": {"type": "array", "items": {"type": "string"}},
        "gift": {"type": ["boolean", "null"], "default": False},
        "parent": {"$ref": "#"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "tier": {"oneOf": [{"const": "g", "title": "Gold"}, {"const": "s", "title": "Silver"}]},
        "odd": {"prefixItems": [{"type": "string"}]},
        "meta": {"type": "object", "additionalProperties": {"type": "integer"}},
        NASTY: {"type": "string"},
    },
    "$defs": {"customer": {"type": "object", "properties": {"id": {"type": "integer"}, "name": {"type": "string"}}}},
}


def field(root: Field, pointer: str) -> Field:
    return next(one for one in root.walk() if one.pointer == pointer)


# Documents come back

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
_LEAVES = st.one_of(
    st.sampled_from(["string", "integer", "number", "boolean", "null"]).map(lambda kind: {"type": kind}),
    st.sampled_from([["string", "null"], ["number", "null"], ["boolean", "null"], ["string", "integer"]]).map(
        lambda kinds: {"type": kinds}
    ),
    st.lists(_JSON, min_size=1, max_size=4).map(lambda values: {"enum": values}),
    _JSON.map(lambda value: {"const": value}),
    st.just({}),
    st.just({"$ref": "#"}),
)


def _objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda properties, required, extra: {
            "type": "object",
            "properties": properties,
            "required": [name for name in properties if name in required],
            "additionalProperties": extra,
        },
        st.dictionaries(_TEXT, inner, max_size=4),
        st.sets(_TEXT),
        st.sampled_from([True, False, {"type": "string"}, {"type": "array"}]),
    )


_SCHEMAS = _objects(
    st.recursive(
        _LEAVES, lambda inner: _objects(inner) | inner.map(lambda one: {"type": "array", "items": one}), max_leaves=8
    )
)


@st.composite
def _cases(draw: st.DrawFn) -> tuple[Any, Any]:
    schema = draw(_SCHEMAS)
    return schema, draw(_document(schema, schema, 0))


def _document(schema: Any, root: Any, depth: int) -> st.SearchStrategy[Any]:
    """Mostly what the schema asks for, now and then anything."""
    shape = shape_of(schema, root)
    if shape.kind == "object" and depth < 4:
        own = {name: _document(inner, root, depth + 1) for name, inner in shape.properties.items()}
        return st.builds(
            lambda own, more: {**more, **own},
            st.fixed_dictionaries({}, optional=own),
            st.dictionaries(_TEXT, _JSON, max_size=2),
        )
    if shape.kind == "list" and depth < 4:
        return st.lists(_document(shape.node["items"], root, depth + 1), max_size=3)
    likely = {"text": _TEXT, "number": st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False)}
    if shape.kind == "choice":
        return st.sampled_from([choice.value for choice in shape.choices]) | _JSON
    return likely.get(shape.kind, _JSON) | _JSON if depth else st.dictionaries(_TEXT, _JSON, max_size=3)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(_cases())
def test_documents_come_back_as_they_were(case: tuple[Any, Any]) -> None:
    schema, document = case
    try:
        reading = read(schema, data_of(schema, document))
    except FormTooLargeError:
        return
    assert reading.faults == ()
    assert json.dumps(reading.value, sort_keys=True) == json.dumps(document, sort_keys=True)


@settings(max_examples=15, deadline=None)
@given(st.dictionaries(st.from_regex(r"p(-[0-9x]){0,4}(\.(json|null|is|n|key))?", fullmatch=True), _TEXT, max_size=20))
def test_whatever_is_typed_is_read(data: dict[str, str]) -> None:
    reading = read(ORDER, data)
    assert len({one.name for one in reading.root.walk()}) == len([*reading.root.walk()])
    place_faults(reading.root, [*reading.faults, Fault("/nowhere/at/all", "x", "y")])


def test_schema_of_these_tests_is_one_that_the_catalog_takes() -> None:
    assert check_schema(ORDER) == []


@pytest.mark.parametrize(
    "document",
    [
        {"currency": 1.0}, {"currency": 1}, {"currency": True}, {"currency": None}, {"currency": "GBP"},
        {"gift": None}, {"note": None}, {"note": ""}, {"note": "a\nb"}, {"note": "a\r\nb"}, {"lines": []},
        {"lines": None}, {"lines": [{}, {"sku": 1}, "x"]}, {"tags": ["", "a"]}, {"amount": "12"}, {"amount": 1e300},
        {"parent": {"parent": {"amount": 1, "customer": {}}, "customer": {}}}, {"meta": {"a": 1, "b": "x", "": 3}},
        {"unknown": {"deep": [1]}}, {"odd": ["a"]}, {NASTY: "x"}, {"tags": ["x"] * (MAX_ROWS + 1)},
    ],
    ids=str,
)  # fmt: skip
def test_awkward_documents_come_back(document: Any) -> None:
    reading = read(ORDER, data_of(ORDER, document))
    assert reading.faults == ()
    assert json.dumps(reading.value, sort_keys=True) == json.dumps(document, sort_keys=True)


# Fields


def test_fields_are_named_by_place_and_never_by_the_schema() -> None:
    root = read(ORDER, data_of(ORDER, {NASTY: "x", "lines": [{"sku": "a"}]})).root
    assert all(set(one.name) <= set("p-x0123456789") for one in root.walk())
    assert field(root, "/lines/0/sku").name == "p-4-0-0"
    assert [field(root, f"/{name}").kind for name in ("order_id", "amount", "currency", "customer", "lines", "gift")] == [
        "text", "number", "choice", "object", "list", "boolean",
    ]  # fmt: skip
    assert field(root, "/odd").kind == "json"
    assert field(root, "/note").shape.nullable
    assert [choice.label for choice in field(root, "/tier").shape.choices] == ["Gold", "Silver"]


def test_recursion_ends_where_nobody_asked_for_more() -> None:
    root = read(ORDER, data_of(ORDER, {})).root
    assert not field(root, "/parent").present
    endless = {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#"}}}
    kinds = [one.kind for one in read(endless, data_of(endless, starting_document(endless))).root.walk()]
    assert 2 <= kinds.count("object") <= MAX_DEPTH + 1


def test_a_form_of_too_many_fields_is_refused() -> None:
    wide = {"type": "object", "properties": {f"a{n}": {"type": "string"} for n in range(90)}}
    many = {"type": "object", "required": list("abcd"), "properties": dict.fromkeys("abcd", wide)}
    with pytest.raises(FormTooLargeError):
        read(many, data_of(many, starting_document(many)))
    deep: dict[str, Any] = {}
    for _ in range(3):
        deep = {"lines": [{"sku": "a"}] * MAX_ROWS, "tags": ["x"] * MAX_ROWS, "parent": deep}
    with pytest.raises(FormTooLargeError):
        read(ORDER, data_of(ORDER, deep))


def test_faults_stand_at_their_fields() -> None:
    reading = read(ORDER, {"p-3.is": "1", "p-1": "12,5", "p-2": "99", "p-5.n": "2", "p-5-0": "a", "p-x.json": "{"})
    placed = place_faults(reading.root, reading.faults)
    assert placed["p-1"] == ["Write a number such as 12 or 12.5."]
    assert placed["p-2"] == ["Choose one of these."]
    assert placed["p-5-1"] == ["Fill it in, or remove it."]
    assert field(reading.root, "/amount").text == "12,5"
    judged = [Fault("/payload/customer/id", "wrong-type", "No."), Fault("/payload/odd/0/a", "x", "Deep.")]
    judged.append(Fault("/payload/other", "unknown-field", "What?"))
    placed = place_faults(reading.root, judged, "/payload")
    assert placed == {"p-3-0": ["No."], "p-10": ["/0/a: Deep."], "p-x": ["/other: What?"]}


def test_rows_are_added_and_removed() -> None:
    data = data_of(ORDER, {"tags": ["a", "b", "c"], "meta": {"k": 1}})
    assert read(ORDER, remove(ORDER, data, "p-5-1")).value["tags"] == ["a", "c"]
    assert read(ORDER, add(ORDER, data, "p-5") | {"p-5-3": "d"}).value["tags"] == ["a", "b", "c", "d"]
    assert read(ORDER, add(ORDER, data, "p-11-x") | {"p-11-x-1.key": "z", "p-11-x-1": "2"}).value["meta"] == {
        "k": 1,
        "z": 2,
    }
    assert "tags" not in read(ORDER, remove(ORDER, data_of(ORDER, {"tags": ["a"]}), "p-5-0")).value
    grown = add(ORDER, {}, "p-7")
    assert read(ORDER, grown).value["parent"] == {"customer": {}, "gift": False}
    assert "parent" not in read(ORDER, remove(ORDER, grown, "p-7")).value
    assert add(ORDER, {}, "p-0") == {}
    assert remove(ORDER, {"p-0": "a"}, "p") == {"p-0": "a"}


def test_a_form_begins_with_defaults_and_what_can_be_nothing_else() -> None:
    schema = {
        "type": "object",
        "required": ["kind", "inner"],
        "properties": {
            "kind": {"const": "order"},
            "maybe": {"const": 1},
            "n": {"type": "integer", "default": 3},
            "inner": {"type": "object", "properties": {"a": {"default": [1]}}},
        },
    }
    assert starting_document(schema) == {"kind": "order", "n": 3, "inner": {"a": [1]}}
    assert starting_document(ORDER) == {"customer": {}, "gift": False}


# Links


def test_links_are_typed_by_the_schema() -> None:
    pairs = [
        ("payload.order_id", "12"), ("payload.amount", "12"), ("payload.currency", "EUR"), ("payload.gift", "true"),
        ("payload.lines.0.sku", "7"), ("payload.lines.1.sku", "x"), ("payload.meta.k", "3"), ("payload.free", "1.5"),
        ("type", "order.paid"),
    ]  # fmt: skip
    assert payload_of(pairs, ORDER) == {
        "order_id": "12", "amount": 12, "currency": "EUR", "gift": True, "lines": [{"sku": "7"}, {"sku": "x"}],
        "meta": {"k": 3}, "free": 1.5,
    }  # fmt: skip
    assert payload_of([("payload.amount", "12")]) == {"amount": 12}


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(_TEXT, _JSON, max_size=4), st.sampled_from([None, ORDER]))
def test_links_bring_the_payload_back(payload: Any, schema: Any) -> None:
    assert same(payload_of(pairs_of(payload, schema), schema), payload)


@pytest.mark.parametrize(
    "pairs",
    [
        [("payload", "[1]")], [("payload", "{")], [("payload.", "1")], [("payload.a.5", "1")], [("payload.a", "1"), ("payload.a.b", "2")],
        [(f"payload.a{n}", "1") for n in range(201)], [("payload" + ".a" * 40, "1")], [("payload.a", "9" * 30)],
    ],
    ids=str,
)  # fmt: skip
def test_links_that_cannot_be_read_are_refused(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(Refused):
        payload_of(pairs)
