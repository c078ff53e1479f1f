"""Files of rules: read strictly, every fault with its file and place, and written so that they are read back equal."""

from __future__ import annotations

import re
from typing import Any

import pytest

from webapp.domain.errors import Refused
from webapp.domain.rulesfile import RulesFile, key_of_name, parse_rules, write_rules
from webapp.domain.yamltext import YamlFault, read_yaml

HANDLERS: dict[str, dict[str, Any]] = {"log": {}}
ONE = "rules:\n  - name: Large orders\n    pattern: order.*\n    handler: log\n"


def _parse(*texts: str) -> Any:
    return parse_rules([RulesFile(f"f{n}.yaml", text.encode()) for n, text in enumerate(texts)], HANDLERS)


def _faults(*texts: str) -> list[tuple[str, str]]:
    with pytest.raises(Refused) as refused:
        _parse(*texts)
    return [(fault.pointer, fault.code) for fault in refused.value.faults]


def test_rules_are_read_from_files_and_documents() -> None:
    found = _parse(ONE, "# nothing\n---\n" + ONE.replace("Large", "Small") + "---\nrules: []\n", '{"rules": []}')
    assert [(rule.key, rule.draft.name, rule.at) for rule in found] == [
        ("large-orders", "Large orders", "f0.yaml#/rules/0"),
        ("small-orders", "Small orders", "f1.yaml[0]#/rules/0"),
    ]


def test_what_is_written_is_read_back_equal() -> None:
    odd = {
        "name": "yes", "pattern": "*", "handler": "log", "timeout": "1m30s", "retry": {"max_attempts": 3},
        "options": {"level": "on", "text": "a: b\n- c\n", "n": 12, "port": "12:30", "none": "null", "ü": "♥"},
        "condition": {"field": "data.country", "op": "eq", "value": "no"},
        "transform": {"payload": {"x": "{data.x}", "y": {"$jmespath": "a[?b > `1`]"}}},
    }  # fmt: skip
    text = write_rules([("odd", odd)])
    (rule,) = _parse(text)
    assert rule.key == "odd"
    written = rule.draft.to_json()
    assert {name: written[name] for name in odd if name != "retry"} == {n: v for n, v in odd.items() if n != "retry"}
    assert write_rules([("odd", odd)]) == text


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("rules: [", [("f0.yaml", "invalid-yaml")]),
        ("just text", [("f0.yaml#", "wrong-type")]),
        ("rules: []\nruls: 1", [("f0.yaml#/ruls", "unknown-field")]),
        ("version: 2\nrules: []", [("f0.yaml#/version", "unknown-version")]),
        ("rules: [7]", [("f0.yaml#/rules/0", "wrong-type")]),
        (ONE + "    colour: red", [("f0.yaml#/rules/0/colour", "unknown-field")]),
        (ONE.replace("log", "none"), [("f0.yaml#/rules/0/handler", "unknown-handler")]),
        (ONE.replace("Large orders", "注文"), [("f0.yaml#/rules/0/key", "invalid-key")]),
        (ONE + "    key: Up", [("f0.yaml#/rules/0/key", "invalid-key")]),
        (ONE + "    key: 5", [("f0.yaml#/rules/0/key", "invalid-key")]),
        (ONE + "    options: {n: .inf}", []),
        (ONE + f"    options: {{n: {2**60}}}", [("f0.yaml#/rules/0/options/n", "number-out-of-range")]),
    ],
)
def test_faults_have_file_and_place(text: str, faults: list[tuple[str, str]]) -> None:
    if faults:
        assert _faults(text) == faults
    else:
        assert len(_parse(text)) == 1


def test_a_key_is_given_once_in_all_files_and_every_fault_is_named_at_once() -> None:
    assert _faults(ONE, ONE) == [("f1.yaml#/rules/0/key", "duplicate-key")]
    assert len(_faults(ONE.replace("log", "x"), "[", ONE.replace("order.*", "ORDER"))) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "line 2: the key 'a' is there twice"),
        ("a: &x [*x]", "line 1: a value that contains itself"),
        ("a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)), "more than 50,000 values"),
        ("a0: &a0 {k: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{','.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 9)), "more than 50,000 values"),
        ("a: !!python/object/apply:os.system [ls]", "is not read here"),
        ("a: !!timestamp 2020-01-01", "is not read here"),
        ("1: a", "a key is text"),
        ("[" * 5000, "nested deeper"),
        ("a: [" + "[" * 70 + "]" * 70 + "]", "nested deeper"),
        ("a: " + "x" * 600_000, "at most 512 KiB"),
        ("a: \x07", "special characters"),
        ("- \ta: b: c", "line 1"),
    ],
)  # fmt: skip
def test_hostile_yaml_is_refused_in_words(text: str, message: str) -> None:
    with pytest.raises(YamlFault, match=re.escape(message)):
        read_yaml(text.encode())


def test_yaml_is_that_of_1_2_and_names_may_be_used_modestly() -> None:
    text = "a: yes\nb: 2020-01-01\nc: 12:30\nd: 010\ne:\nf: 1.5\ng: &g {x: 1}\nh: {<<: *g, y: true}\ni: *g\n"
    assert read_yaml(text.encode()) == [
        {"a": "yes", "b": "2020-01-01", "c": "12:30", "d": "010", "e": None, "f": 1.5, "g": {"x": 1}, "h": {"x": 1, "y": True}, "i": {"x": 1}}
    ]  # fmt: skip
    with pytest.raises(YamlFault, match="UTF-8"):
        read_yaml(b"\xff\xfe")


@pytest.mark.parametrize(
    ("name", "key"), [("Large orders!", "large-orders"), ("a" * 80, "a" * 64), ("--", ""), ("V1.2_x", "v1.2_x")]
)
def test_key_is_made_of_the_name(name: str, key: str) -> None:
    assert key_of_name(name) == key
