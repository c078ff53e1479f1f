"""Schemas worked out from payloads."""

from itertools import permutations

from webapp.domain.jsontext import to_text
from webapp.domain.schema_infer import MAX_FIELDS, infer
from webapp.domain.schemas import check_schema, compiled


def test_required_is_what_was_always_there():
    found = infer([{"id": "a", "n": 1}, {"id": "b"}, {"id": "c", "n": 2.5, "gone": None}])
    assert found["required"] == ["id"]
    assert found["properties"] == {"gone": {"type": "null"}, "id": {"type": "string"}, "n": {"type": "number"}}


def test_formats_are_those_that_every_text_had():
    found = infer([{"at": "2026-11-23T14:00:00Z", "to": "a@example.com", "x": "2026-01-01"}, {"x": "soon"}])
    assert found["properties"]["at"]["format"] == "date-time"
    assert found["properties"]["to"]["format"] == "email"
    assert "format" not in found["properties"]["x"]


def test_values_are_listed_when_few_and_repeated_only():
    found = infer([{"state": "on" if n % 3 else "off", "name": f"n{n}"} for n in range(20)])
    assert found["properties"]["state"] == {"type": "string", "enum": ["off", "on"]}
    assert "enum" not in found["properties"]["name"]
    assert "enum" not in infer([{"state": "on"}, {"state": "off"}])["properties"]["state"]


def test_arrays_and_objects_inside():
    found = infer([{"items": [{"p": 1}, {"p": 2, "q": True}]}, {"items": []}])["properties"]["items"]
    assert found["items"]["required"] == ["p"]
    assert found["items"]["properties"]["q"] == {"type": "boolean"}


def test_order_does_not_matter():
    payloads = [{"a": 1, "b": ["x"]}, {"b": [], "a": None}, {"c": {"d": 1.5}}]
    assert len({to_text(infer(some)) for some in permutations(payloads)}) == 1


def test_what_is_a_map_and_what_is_deep_stays_small():
    wide = infer([{f"key{n}": n for n in range(MAX_FIELDS + 1)}])
    assert "properties" not in wide
    deep = {}
    for _ in range(30):
        deep = {"d": deep}
    assert len(to_text(infer([deep]))) < 1_500


def test_what_was_seen_fits_and_the_schema_is_one_that_is_taken():
    payloads = [{"id": f"{n}", "tags": ["a", 1], "at": None if n % 2 else "2026-01-01"} for n in range(30)]
    found = infer(payloads)
    assert check_schema(found) == []
    assert all(compiled(to_text(found)).fits(one) for one in payloads)
    assert check_schema(infer([])) == []
