"""A payload as a tree, searched, and set against another."""

from __future__ import annotations

import json

from webapp.domain.payload_diff import SHOWN, difference
from webapp.domain.payload_tree import CHILDREN, FOUND, Node, read, search, tree


def _all(node: Node) -> list[Node]:
    return [node, *(one for child in node.children for one in _all(child))]


def test_each_node_has_the_path_that_a_condition_writes() -> None:
    root = tree(read('{"items": [{"sku": "a"}], "a.b": 1}'))
    assert root is not None
    paths = [one.path for one in _all(root)]
    assert paths == ["data", "data.items", "data.items[0]", "data.items[0].sku", 'data["a.b"]']


def test_numbers_stay_as_they_were_sent() -> None:
    root = tree(read('{"price": 1.50, "big": 1E5}'))
    assert root is not None
    assert [one.text for one in root.children] == ["1.50", "1E5"]


def test_much_is_cut_and_goes_on_where_it_stopped() -> None:
    payload = read(json.dumps({"rows": [{"n": n, "deep": {"x": [n]}} for n in range(20_000)]}))
    root = tree(payload)
    assert root is not None
    assert len(_all(root)) <= 401
    rows = root.children[0]
    more = tree(payload, rows.path, rows.rest or 0)
    assert more is not None
    assert more.children[0].path == f"data.rows[{rows.rest}]"
    assert len(more.children) <= CHILDREN


def test_a_folded_node_is_found_by_its_path_whatever_its_key_is() -> None:
    payload = read(json.dumps({'x"] .[': {"y": {"z": {"w": {"v": 7}}}}}))
    root = tree(payload)
    assert root is not None
    deepest = _all(root)[-1]
    assert deepest.rest == 0
    found = tree(payload, deepest.path, 0)
    assert found is not None
    assert "7" in [one.text for one in _all(found)]
    assert tree(payload, "data.none") is None


def test_search_looks_at_keys_and_values_and_stops() -> None:
    payload = read('{"Name": "x", "other": {"deep": "my NAME is"}}')
    nodes, has_more = search(payload, "name")
    assert ([one.path for one in nodes], has_more) == (["data.Name", "data.other.deep"], False)
    nodes, has_more = search(read(json.dumps(["same"] * 100)), "same")
    assert (len(nodes), has_more) == (FOUND, True)


def test_difference_tells_added_removed_and_changed_fields() -> None:
    found = difference(read('{"a": 1, "b": [1, 2], "gone": true}'), read('{"a": 1.0, "b": [1], "new": null}'))
    assert [(one.path, one.kind, one.before, one.after) for one in found.changes] == [
        ("data.a", "changed", "1", "1.0"),
        ("data.b[1]", "removed", "2", ""),
        ("data.new", "added", "", "null"),
        ("data.gone", "removed", "true", ""),
    ]
    assert not difference(read('{"a": "1"}'), read('{"a": "1"}')).changes
    assert difference(read('{"a": "1"}'), read('{"a": 1}')).changes


def test_difference_is_cut() -> None:
    found = difference([0] * 1000, [1] * 1000)
    assert (len(found.changes), found.has_more) == (SHOWN, True)
