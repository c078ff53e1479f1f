"""YAML read strictly: plain data only, by the rules of YAML 1.2, with a size. Every fault has its line.

``yes``, ``on`` and ``12:30`` are text, a key twice is a fault, and names (``*anchor``) that would grow into more than
``MAX_NODES`` values are refused before anything is built.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

MAX_BYTES = 512 * 1024
MAX_NODES = 50_000
MAX_DEPTH = 60


class YamlFault(ValueError):
    """What is wrong, in words, with its line."""


class _Loader(yaml.SafeLoader):
    """Text, whole numbers, fractions, true, false and null; no dates, no tags."""


_Loader.yaml_implicit_resolvers = {}  # not those of YAML 1.1

for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?", "-+0123456789"),
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), list(_first))
_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "bool", "int", "float", "null", "merge")
)


def read_yaml(content: bytes) -> list[Any]:
    """The documents of a file. Raises ``YamlFault``."""
    if len(content) > MAX_BYTES:
        raise YamlFault(f"A file has at most {MAX_BYTES // 1024} KiB.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise YamlFault("A file is UTF-8 text.") from None
    try:
        return list(_documents(text))
    except yaml.MarkedYAMLError as error:
        raise YamlFault(f"{_place(error.problem_mark)}{error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, YamlFault):
            raise
        raise YamlFault(" ".join(str(error).split())[:200]) from None
    except RecursionError:
        raise YamlFault(f"This is nested deeper than {MAX_DEPTH}.") from None


def _documents(text: str) -> Iterator[Any]:
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is not None:
                _check(node, {}, 1)
                yield loader.construct_document(node)
    finally:
        loader.dispose()


def _check(node: yaml.Node, sizes: dict[int, int], depth: int) -> int:
    """How many values the node is when every name is written out; ``sizes`` has 0 for those that are being looked at."""
    known = sizes.get(id(node))
    if known == 0:
        raise YamlFault(f"{_place(node.start_mark)}a value that contains itself")
    if known is not None:
        return known
    if depth > MAX_DEPTH:
        raise YamlFault(f"{_place(node.start_mark)}this is nested deeper than {MAX_DEPTH}")
    if node.tag not in _TAGS:
        raise YamlFault(f"{_place(node.start_mark)}the tag {node.tag[:80]} is not read here")
    sizes[id(node)] = 0
    if isinstance(node, yaml.MappingNode):
        _check_keys(node)
    size = 1 + sum(_check(child, sizes, depth + 1) for child in _children(node))
    if size > MAX_NODES:
        raise YamlFault(f"{_place(node.start_mark)}more than {MAX_NODES:,} values")
    sizes[id(node)] = size
    return size


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _check_keys(node: yaml.MappingNode) -> None:
    seen = set()
    for key, _ in node.value:
        if key.tag == "tag:yaml.org,2002:merge":
            continue
        if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
            raise YamlFault(f"{_place(key.start_mark)}a key is text; put it in quotes")
        if key.value in seen:
            raise YamlFault(f"{_place(key.start_mark)}the key {key.value[:80]!r} is there twice")
        seen.add(key.value)


def _place(mark: Any) -> str:
    return "" if mark is None else f"line {mark.line + 1}: "


def write_yaml(document: Any) -> str:
    """Block style, keys in their order, so that a change of one field is a change of one line."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=False)


class _Dumper(yaml.SafeDumper):
    """What other parsers might take for something else is put in quotes (YAML 1.1 too); nothing is named."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
