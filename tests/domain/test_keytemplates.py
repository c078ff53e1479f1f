"""Keys of events: equal for what belongs together, short enough for an index, safe to print."""

from __future__ import annotations

import pytest

from webapp.domain.keytemplates import KEY_CHARS, parse_key

VIEW = {
    "type": "order.paid",
    "source": "shop",
    "label": {"region": "eu"},
    "data": {"id": 7, "who": {"b": 1, "a": [2]}, "on": True},
}


@pytest.mark.parametrize(
    ("template", "key"),
    [
        ("{data.id}", "7"),
        ("{type}/{label.region}", "order.paid/eu"),
        ("customer {data.id} of {source}", "customer 7 of shop"),
        ("{data.on}", "true"),
        ("{data.who}", '{"a": [2], "b": 1}'),
        ("{data.nothing}", ""),
        ("{label.nothing}-{data.id}", "-7"),
    ],
)
def test_key_is_made_of_the_fields(template: str, key: str) -> None:
    assert parse_key(template).render(VIEW) == key


@pytest.mark.parametrize("value", ["x" * (KEY_CHARS + 1), "a\nb", "a\x00b", "\u202e"])
def test_key_that_is_long_or_odd_becomes_a_digest(value: str) -> None:
    key = parse_key("{data.x}").render({"data": {"x": value}})
    assert key.startswith("sha256:")
    assert len(key) <= KEY_CHARS
    assert key == parse_key("{data.x}").render({"data": {"x": value}})
    assert key != parse_key("{data.x}").render({"data": {"x": value + "y"}})


@pytest.mark.parametrize(
    "text",
    ["", "  ", "plain", "{}", "{data}", "{nope}", "{data.x", "data.x}", "{{data.x}}", None, 5, "{data.x}" + "y" * 500],
)
def test_key_without_a_proper_field_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_key(text)
