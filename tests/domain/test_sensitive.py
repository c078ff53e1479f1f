"""What is hidden in options, what stays when it is sent back, and where secrets of the hub are named."""

from __future__ import annotations

from typing import Any

import pytest

from webapp.domain.secretrefs import references, resolved
from webapp.domain.sensitive import MASK, masked, restored, sensitive_texts

SCHEMA = {"properties": {"dsn": {"x-sensitive": True}, "signature_header": {"x-sensitive": False}}}


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({"url": "u", "secret": "s"}, {"url": "u", "secret": MASK}),
        ({"headers": {"Authorization": "x", "X-Api-Key": "y", "A": "b"}}, {"headers": {"Authorization": MASK, "X-Api-Key": MASK, "A": "b"}}),
        ({"headers": [{"Authorization": "x", "n": 1}]}, {"headers": [{"Authorization": MASK, "n": 1}]}),
        ({"secrets": ["a", "b"], "credentials": {"user": "u"}}, {"secrets": [MASK, MASK], "credentials": {"user": MASK}}),
        ({"dsn": "amqp://u:p@h", "signature_header": "X-Sig"}, {"dsn": MASK, "signature_header": "X-Sig"}),
        ({"max_tokens": 5, "password": ""}, {"max_tokens": 5, "password": ""}),
        ({"token": "{secret.A}"}, {"token": "{secret.A}"}),
        ({"authorization": "Bearer {secret.A}"}, {"authorization": "Bearer {secret.A}"}),
        ({"password": "pw-{secret.A}"}, {"password": MASK}),
    ],
)  # fmt: skip
def test_sensitive_options_are_hidden(options: dict[str, Any], shown: dict[str, Any]) -> None:
    assert masked(options, SCHEMA) == shown


def test_sensitive_texts_are_what_is_hidden() -> None:
    assert sensitive_texts({"secret": "s", "url": "u", "dsn": "d", "token": "{secret.A}"}, SCHEMA) == ["s", "d"]


def test_what_is_sent_back_hidden_stays_as_it_was() -> None:
    before = {"url": "u", "secrets": ["a", "b"], "headers": {"Authorization": "x"}}
    faults: list[Any] = []
    sent = masked(before) | {"url": "v"}
    assert restored(sent, before, "/options", faults) == before | {"url": "v"}
    assert faults == []


@pytest.mark.parametrize(
    ("sent", "at"),
    [
        ({"token": MASK}, "/options/token"),
        ({"secrets": ["a", MASK]}, "/options/secrets/1"),
        ({"headers": {"A/b": MASK}}, "/options/headers/A~1b"),
        ({"secret": {"x": MASK}}, "/options/secret/x"),
    ],
)
def test_hidden_value_without_one_before_is_a_fault(sent: dict[str, Any], at: str) -> None:
    faults: list[Any] = []
    restored(sent, {"secret": "s", "secrets": ["a"]}, "/options", faults)
    assert [(fault.pointer, fault.code) for fault in faults] == [(at, "masked-value")]


def test_references_are_found_and_filled_at_any_depth() -> None:
    options = {"headers": {"Authorization": "Bearer {secret.A}"}, "list": [1, "{secret.B}{secret.A}"], "x": "{data.y}"}
    assert list(references(options, "/options")) == [
        ("/options/headers/Authorization", "A"),
        ("/options/list/1", "B"),
        ("/options/list/1", "A"),
    ]
    filled = resolved(options, {"A": "{secret.B}", "B": "b"})
    assert filled["headers"]["Authorization"] == "Bearer {secret.B}"  # what came in is not looked at again
    assert filled["list"] == [1, "b{secret.B}"]
    with pytest.raises(KeyError):
        resolved(options, {"A": "a"})


def test_what_is_no_name_is_found_too_so_that_it_can_be_refused() -> None:
    assert list(references({"a": "{secret.} {secret.b c}"})) == [("/a", ""), ("/a", "b c")]
