"""A subscription is checked whole: its own fields, its condition, its policy and the options of its handler."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from webapp.domain.errors import Refused
from webapp.domain.optionschema import check_options, unsupported_keywords
from webapp.domain.retry import RetryPolicy
from webapp.domain.subscriptions import DEFAULT_TIMEOUT, SubscriptionDraft, parse_subscription

HANDLERS: dict[str, dict[str, Any]] = {
    "log": {},
    "http": {
        "type": "object",
        "additionalProperties": False,
        "required": ["url"],
        "properties": {
            "url": {"type": "string", "format": "uri", "maxLength": 40},
            "method": {"enum": ["POST", "PUT"]},
            "tries": {"type": "integer", "minimum": 1, "maximum": 5},
            "name": {"type": ["string", "null"], "minLength": 2},
            "headers": {"type": "array", "items": {"type": "object", "required": ["k/v"]}},
            "loud": {"type": "boolean"},
        },
    },
}
MINIMAL = {"name": "Log all", "pattern": "*", "handler": "log"}


def _parse(**fields: Any) -> SubscriptionDraft:
    return parse_subscription(MINIMAL | fields, HANDLERS)


def _faults(document: Any) -> list[tuple[str, str]]:
    with pytest.raises(Refused) as refused:
        parse_subscription(document, HANDLERS)
    assert (refused.value.status, refused.value.slug) == (422, "invalid-subscription")
    return [(fault.pointer, fault.code) for fault in refused.value.faults]


@pytest.mark.parametrize("absent", [{}, dict.fromkeys(["condition", "options", "retry", "timeout"])])
def test_subscription_takes_defaults_when_only_the_needed_is_given(absent: dict[str, Any]) -> None:
    assert _parse(**absent) == SubscriptionDraft("Log all", "*", None, "log", {}, RetryPolicy(), DEFAULT_TIMEOUT)


def test_subscription_keeps_every_field_and_reads_back_equal() -> None:
    condition = {"all": [{"field": "data.amount", "op": "gt", "value": 5}]}
    draft = _parse(
        name="  Große Aufträge 🚀 ",
        pattern="order.**",
        condition=condition,
        handler="http",
        options={"url": "https://example.org/", "method": "PUT", "tries": 2, "name": None, "headers": [{"k/v": 1}]},
        retry={"delays_s": [1, 5]},
        timeout="1m30s",
    )
    assert (draft.name, draft.pattern, draft.condition) == ("Große Aufträge 🚀", "order.*", condition)
    assert (draft.retry.max_attempts, draft.timeout) == (3, timedelta(seconds=90))
    assert parse_subscription(draft.to_json(), HANDLERS) == draft


@pytest.mark.parametrize(("timeout", "seconds"), [("0.1s", 0.1), (0.1, 0.1), ("1h", 3600), (30, 30), ("250ms", 0.25)])
def test_timeout_is_read_when_it_is_text_or_seconds(timeout: Any, seconds: float) -> None:
    assert _parse(timeout=timeout).timeout == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"name": ""}, "/name", "invalid-length"),
        ({"name": "   "}, "/name", "invalid-length"),
        ({"name": "x" * 121}, "/name", "invalid-length"),
        ({"name": "a\nb"}, "/name", "invalid-character"),
        ({"name": 5}, "/name", "invalid-length"),
        ({"pattern": "Order.*"}, "/pattern", "invalid-pattern"),
        ({"pattern": None}, "/pattern", "invalid-pattern"),
        ({"condition": []}, "/condition", "wrong-type"),
        ({"condition": {"all": [{"field": "type", "op": "zz", "value": 1}]}}, "/condition/all/0/op", "invalid-op"),
        ({"handler": "nope"}, "/handler", "unknown-handler"),
        ({"handler": None}, "/handler", "unknown-handler"),
        ({"handler": ["log"]}, "/handler", "unknown-handler"),
        ({"options": []}, "/options", "wrong-type"),
        ({"options": {str(n): n for n in range(101)}}, "/options", "too-many"),
        ({"handler": "http"}, "/options/url", "required"),
        ({"retry": {"max_attempts": 0}}, "/retry/max_attempts", "out-of-range"),
        ({"retry": 5}, "/retry", "wrong-type"),
        ({"timeout": "soon"}, "/timeout", "invalid-duration"),
        ({"timeout": True}, "/timeout", "invalid-duration"),
        ({"timeout": "99ms"}, "/timeout", "out-of-range"),
        ({"timeout": "61m"}, "/timeout", "out-of-range"),
        ({"timeout": -5}, "/timeout", "invalid-duration"),
        ({"revision": 3}, "/revision", "unknown-field"),
    ],
)
def test_subscription_is_refused_with_pointer_and_code(fields: dict[str, Any], pointer: str, code: str) -> None:
    assert _faults(MINIMAL | fields) == [(pointer, code)]


@pytest.mark.parametrize("document", [None, [], "x", 5])
def test_subscription_is_refused_at_the_root_when_it_is_no_object(document: Any) -> None:
    assert _faults(document) == [("", "wrong-type")]


def test_subscription_names_all_faults_at_once() -> None:
    pointers = {pointer for pointer, _ in _faults({"handler": "x", "timeout": "x", "retry": {"factor": 0}, "zz": 1})}
    assert pointers == {"/zz", "/name", "/pattern", "/handler", "/retry/factor", "/timeout"}


def test_unknown_handler_is_answered_with_the_known_ones() -> None:
    with pytest.raises(Refused, match="http, log"):
        _parse(handler="zz")
    with pytest.raises(Refused, match="no worker has started"):
        parse_subscription(MINIMAL, {})


@pytest.mark.parametrize(
    ("options", "pointer", "code"),
    [
        ({"url": "ftp://x"}, "/url", "invalid-value"),
        ({"url": 5}, "/url", "wrong-type"),
        ({"url": "https://" + "x" * 40}, "/url", "invalid-length"),
        ({"method": "GET"}, "/method", "invalid-value"),
        ({"tries": 0}, "/tries", "out-of-range"),
        ({"tries": 6}, "/tries", "out-of-range"),
        ({"tries": 1.5}, "/tries", "wrong-type"),
        ({"tries": True}, "/tries", "wrong-type"),
        ({"name": "x"}, "/name", "invalid-length"),
        ({"headers": [{"k/v": 1}, {}]}, "/headers/1/k~1v", "required"),
        ({"loud": 1}, "/loud", "wrong-type"),
        ({"colour": "red"}, "/colour", "unknown-field"),
    ],
)
def test_options_are_checked_against_the_schema(options: dict[str, Any], pointer: str, code: str) -> None:
    faults = check_options(HANDLERS["http"], {"url": "http://x"} | options, "/options")
    assert [(fault.pointer, fault.code) for fault in faults] == [("/options" + pointer, code)]


def test_options_are_free_when_the_schema_says_nothing() -> None:
    assert check_options({}, {"anything": [1, {"goes": None}]}, "/options") == []


def test_enum_tells_true_from_one() -> None:
    assert check_options({"enum": [1]}, True, "/x")
    assert not check_options({"enum": [1]}, 1, "/x")


def test_schema_names_the_keywords_that_would_not_be_checked() -> None:
    schema = {
        "type": "object",
        "title": "T",
        "allOf": [],
        "properties": {"a": {"pattern": "x"}, "b": {"items": {"format": "email"}}, "c": {"default": 1}},
    }
    assert unsupported_keywords(schema) == ["allOf", "format: email", "pattern"]
    assert unsupported_keywords(HANDLERS["http"]) == []
