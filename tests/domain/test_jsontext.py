"""What the JSON gate lets through can be stored on both databases and sent back; the rest is refused with a reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.domain.errors import Refused
from webapp.domain.jsontext import MAX_INTEGER, parse_json, to_text

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | text
    | st.floats(allow_nan=False, allow_infinity=False)
)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(text, inner, max_size=5), max_leaves=30
)


def _answer(body: bytes) -> Any:
    """The value, or the refusal itself."""
    try:
        return parse_json(body)
    except Refused as refused:
        return refused


def _refused(body: bytes, **limits: int) -> Refused:
    with pytest.raises(Refused) as refused:
        parse_json(body, **limits)
    json.dumps([fault.pointer + fault.message for fault in refused.value.faults], ensure_ascii=False).encode()
    return refused.value


@given(documents, st.booleans())
def test_gate_returns_the_document_unchanged_when_it_is_sound(document: Any, ascii_only: bool) -> None:
    assert parse_json(json.dumps(document, ensure_ascii=ascii_only).encode()) == document
    assert parse_json(to_text(document).encode()) == document


@given(st.binary(max_size=60) | text.map(str.encode))
def test_gate_refuses_or_returns_but_never_breaks_when_bytes_are_arbitrary(body: bytes) -> None:
    answer = _answer(body)
    if isinstance(answer, Refused):
        assert answer.status in {400, 415, 422}
    else:
        to_text(answer).encode()


@given(
    st.recursive(
        st.sampled_from(['"\\ud800"', "1e999", "9" * 17, "1", '"\\u0000"', "true", '"\\udc00\\ud800"']),
        lambda inner: (
            st.lists(inner, max_size=4).map(lambda p: f"[{','.join(p)}]")
            | st.lists(st.tuples(st.sampled_from(['"a"', '"\\u0000"', '"\\ud8ff"', '"b"']), inner), max_size=3).map(
                lambda p: "{" + ",".join(f"{k}:{v}" for k, v in p) + "}"
            )
        ),
        max_leaves=12,
    )
)
def test_gate_agrees_with_a_naive_search_for_faults(body: str) -> None:
    answer = _answer(body.encode())
    if isinstance(answer, Refused):
        assert answer.slug in {"invalid-character", "number-out-of-range", "duplicate-key"}
        assert answer.faults
    else:
        written = to_text(answer)
        written.encode()
        assert not any(sign in written for sign in ("\\u0000", "inf", "9" * 17))


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        (b"", 400, "malformed-json"),
        (b"  \n", 400, "malformed-json"),
        (b'{"a": 1', 400, "malformed-json"),
        (b"{} {}", 400, "malformed-json"),
        (b"{'a': 1}", 400, "malformed-json"),
        (b'{"a": 1,}', 400, "malformed-json"),
        (b"NaN", 400, "malformed-json"),
        (b'{"a": Infinity}', 400, "malformed-json"),
        (b"[-Infinity]", 400, "malformed-json"),
        (b'"a\x00b"', 400, "malformed-json"),
        (b'"a\nb"', 400, "malformed-json"),
        (b"[" * 100_000, 400, "json-too-deep"),
        (b"[" * 100_000 + b"]" * 100_000, 400, "json-too-deep"),
        (b'{"a":' * 50_000, 400, "json-too-deep"),
        (b"9" * 5000, 400, "number-out-of-range"),
        (b"[9007199254740992]", 422, "number-out-of-range"),
        (b"[9223372036854775808]", 422, "number-out-of-range"),
        (b"[-9223372036854775809]", 422, "number-out-of-range"),
        (b"123456789012345678901234567890", 422, "number-out-of-range"),
        (b"1e400", 422, "number-out-of-range"),
        (b"[-1e131000]", 422, "number-out-of-range"),
        (b'{"a":1,"a":2}', 400, "duplicate-key"),
        (b'{"a":1,"\\u0061":2}', 400, "duplicate-key"),
        (b'"\\u0000"', 422, "invalid-character"),
        (b'{"\\u0000": 1}', 422, "invalid-character"),
        (b'"\\ud800"', 422, "invalid-character"),
        (b'"\\udc00\\ud800"', 422, "invalid-character"),
        (b'{"\\udfff": 1}', 422, "invalid-character"),
        (b'"\xff"', 400, "invalid-encoding"),
        (b'"\xc0\x80"', 400, "invalid-encoding"),
        (b'"\xed\xa0\x80\xed\xb0\x80"', 400, "invalid-encoding"),
        (b"\xef\xbb\xbf{}", 400, "invalid-encoding"),
        ('{"a":1}'.encode("utf-16"), 415, "unsupported-media-type"),
        ('{"a":1}'.encode("utf-16-le"), 415, "unsupported-media-type"),
        ('{"a":1}'.encode("utf-32-be"), 415, "unsupported-media-type"),
        (b'{"' + b"k" * 257 + b'": 1}', 422, "key-too-long"),
    ],
)
def test_gate_refuses_with_the_right_problem(body: bytes, status: int, slug: str) -> None:
    refused = _refused(body)
    assert (refused.status, refused.slug) == (status, slug)


@pytest.mark.parametrize(
    "body",
    [
        b"9007199254740991",
        b"-9007199254740991",
        b"1e308",
        b'{"__proto__": {"constructor": "toString"}}',
        b'{"' + b"k" * 256 + b'":1}',
        '"🧑\u200d🚀 中文 é é"'.encode(),
        b'"\\ud83d\\ude80"',
        b'"<img src=x onerror=alert(1)>"',
        b'{"a":{"b":1},"c":{"b":1}}',
    ],
)
def test_gate_lets_pass_what_is_only_unusual(body: bytes) -> None:
    assert parse_json(body) == json.loads(body)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_gate_refuses_depth_33_and_passes_32(opening: str, closing: str) -> None:
    parse_json((opening * 32 + "1" + closing * 32).encode())
    assert _refused((opening * 33 + "1" + closing * 33).encode()).slug == "json-too-deep"


def test_gate_counts_an_empty_container_as_a_level() -> None:
    parse_json(b"[]", max_depth=1)
    assert _refused(b"[[]]", max_depth=1).slug == "json-too-deep"


def test_gate_counts_every_value_against_the_limit() -> None:
    parse_json(b"[1,2,3]", max_nodes=4)
    refused = _refused(b"[1,2,3,4]", max_nodes=4)
    assert (refused.status, refused.slug) == (400, "json-too-complex")
    assert _refused(b"[" + b"0," * 999_999 + b"0]").slug == "json-too-complex"


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (b'{"a":[1,{"b/c~d":1e999}]}', ["/a/1/b~1c~0d"]),
        (b'{"a":"\\u0000","b":["\\ud800"]}', ["/a", "/b/0"]),
        (b'{"x":{"a":1,"b":[{"k":1,"k":2}]}}', ["/x/b/0/k"]),
        (b'{"":9007199254740992}', ["/"]),
        (b"9007199254740992", [""]),
    ],
)
def test_gate_points_at_every_fault(body: bytes, pointers: list[str]) -> None:
    assert [fault.pointer for fault in _refused(body).faults] == pointers


def test_gate_cleans_the_pointer_when_the_key_itself_cannot_be_stored() -> None:
    assert _refused(b'{"a\\u0000b": 1}').faults[0].pointer == "/a\ufffdb"


def test_gate_gives_the_byte_offset_when_the_json_is_malformed() -> None:
    assert "byte 9" in _refused('{"é": 1 x}'.encode()).detail


def test_gate_lists_at_most_twenty_faults() -> None:
    assert len(_refused(b"[" + b"1e999," * 500 + b"1]").faults) == 20


def test_gate_names_the_duplicate_without_a_pointer_when_what_follows_is_broken() -> None:
    refused = _refused(b'[{"a":1,"a":2},' + b"[" * 50_000)
    assert (refused.slug, refused.faults) == ("duplicate-key", ())


def test_gate_does_not_echo_more_than_eighty_characters_of_a_key() -> None:
    key = "k" * 200
    assert key not in _refused(f'{{"{key}":1,"{key}":2}}'.encode()).detail


def test_text_is_compact_and_keeps_characters_as_they_are() -> None:
    assert to_text({"a": [1, "é🚀"]}) == '{"a":[1,"é🚀"]}'
    with pytest.raises(ValueError, match="Out of range"):
        to_text(float("nan"))
