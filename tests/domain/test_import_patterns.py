"""Patterns from elsewhere: what they mean there they mean here, and what cannot be said is refused by its pointer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from webapp.domain.condition_print import print_condition
from webapp.domain.conditions import event_view, parse_condition
from webapp.domain.errors import Refused
from webapp.domain.events import Event
from webapp.domain.import_patterns import import_condition

# What the examples of "Creating event patterns" and "Comparison operators" of AWS are about.
EVENT = Event(
    id="17793124",
    type="EC2 Instance State-change Notification",
    source="aws.ec2",
    version=1,
    timestamp=datetime(2026, 11, 23, tzinfo=UTC),
    subject="i-1",
    labels={"team": "Pay"},
    payload={
        "state": "running",
        "c-count": 5,
        "d-count": 8,
        "x-limit": 301.8,
        "nothing": None,
        "empty": "",
        "flag": True,
        "source-ip": "10.0.0.7",
        "FileName": "dir/pic.PNG",
        "path": "/usr/lib/a.py",
        "tags": ["a", "b"],
        "none": [],
        "nested": [["x"], ["y", 3]],
        "instance": {"state": {"code": 80, "name": "stopped"}},
        "items": [{"sku": "A", "n": 1, "marks": ["red"]}, {"sku": "B", "n": 2}],
        "odd?": "what?*",
    },
)


def _holds(pattern: Any) -> bool:
    return parse_condition(import_condition(pattern).tree).evaluate(event_view(EVENT)).verdict


BRIDGE = [
    ({"source": ["aws.ec2"]}, True),
    ({"source": ["aws.s3", "aws.ec2"], "detail-type": [{"prefix": "EC2 "}]}, True),
    ({"source": ["aws.ec2"], "detail-type": ["Other"]}, False),
    ({"detail": {"state": ["running"], "c-count": [5]}}, True),
    ({"detail": {"c-count": ["5"]}}, False),
    ({"detail": {"c-count": [5.0]}}, True),
    ({"detail": {"nothing": [None]}}, True),
    ({"detail": {"absent": [None]}}, False),
    ({"detail": {"empty": [""]}}, True),
    ({"detail": {"flag": [True]}}, True),
    ({"detail": {"state": [{"prefix": "run"}]}}, True),
    ({"detail": {"state": [{"prefix": {"equals-ignore-case": "RUN"}}]}}, True),
    ({"detail": {"state": [{"prefix": ""}]}}, True),
    ({"detail": {"c-count": [{"prefix": ""}]}}, False),
    ({"detail": {"FileName": [{"suffix": ".png"}]}}, False),
    ({"detail": {"FileName": [{"suffix": {"equals-ignore-case": ".png"}}]}}, True),
    ({"detail": {"FileName": [{"equals-ignore-case": "DIR/PIC.png"}]}}, True),
    # anything-but: any other value, of any kind; a missing one is none
    ({"detail": {"state": [{"anything-but": "initializing"}]}}, True),
    ({"detail": {"state": [{"anything-but": ["stopped", "running"]}]}}, False),
    ({"detail": {"x-limit": [{"anything-but": [100, 200, 300]}]}}, True),
    ({"detail": {"c-count": [{"anything-but": "five"}]}}, True),
    ({"detail": {"nothing": [{"anything-but": "five"}]}}, True),
    ({"detail": {"absent": [{"anything-but": "x"}]}}, False),
    ({"detail": {"none": [{"anything-but": "x"}]}}, False),
    ({"detail": {"tags": [{"anything-but": "a"}]}}, True),
    ({"detail": {"tags": [{"anything-but": ["a", "b"]}]}}, False),
    ({"detail": {"state": [{"anything-but": {"prefix": "init"}}]}}, True),
    ({"detail": {"state": [{"anything-but": {"prefix": "run"}}]}}, False),
    ({"detail": {"tags": [{"anything-but": {"prefix": "a"}}]}}, True),
    ({"detail": {"absent": [{"anything-but": {"prefix": "run"}}]}}, False),
    ({"detail": {"FileName": [{"anything-but": {"suffix": [".txt", ".PNG"]}}]}}, False),
    ({"detail": {"FileName": [{"anything-but": {"suffix": [".txt", ".rpm"]}}]}}, True),
    ({"detail": {"state": [{"anything-but": {"equals-ignore-case": ["Stopped", "RUNNING"]}}]}}, False),
    ({"detail": {"path": [{"anything-but": {"wildcard": "*/lib/*"}}]}}, False),
    ({"detail": {"path": [{"anything-but": {"wildcard": ["*/bin/*", "/tmp/*"]}}]}}, True),
    ({"source": [{"anything-but": "aws.s3"}], "subject": [{"anything-but": {"prefix": "x"}}]}, True),
    ({"detail": {"c-count": [{"numeric": [">", 0, "<=", 5]}]}}, True),
    ({"detail": {"c-count": [{"numeric": [">", 5]}], "d-count": [{"numeric": ["<", 10]}]}}, False),
    ({"detail": {"x-limit": [{"numeric": ["=", 3.018e2]}]}}, True),
    ({"detail": {"c-count": [{"numeric": [">=", 5, "<=", 6]}]}}, True),
    ({"detail": {"state": [{"numeric": [">", 0]}]}}, False),
    ({"detail": {"instance": {"state": {"code": [{"exists": True}]}}}}, True),
    ({"detail": {"instance": {"state": {"nope": [{"exists": True}]}}}}, False),
    ({"detail": {"nope": [{"exists": False}]}}, True),
    ({"detail": {"none": [{"exists": False}]}}, True),  # an empty list
    ({"detail": {"nothing": [{"exists": True}]}}, True),
    ({"detail": {"source-ip": [{"cidr": "10.0.0.0/24"}]}}, True),
    ({"detail": {"source-ip": [{"cidr": "10.0.1.0/24"}]}}, False),
    ({"detail": {"FileName": [{"wildcard": "dir/*.PNG"}]}}, True),
    ({"detail": {"path": [{"wildcard": "/*/lib/*.py"}]}}, True),
    ({"detail": {"path": [{"wildcard": "/*/bin/*.py"}]}}, False),
    ({"detail": {"odd?": [{"wildcard": "what?\\*"}]}}, True),
    ({"detail": {"odd?": [{"wildcard": "what?*"}]}}, True),
    ({"detail": {"odd?": [{"wildcard": "*t?\\*"}]}}, True),
    ({"detail": {"odd?": [{"wildcard": "whatx*"}]}}, False),
    # lists in the event are flattened, also those of objects on the way, and lists in lists
    ({"detail": {"tags": ["b", "c"]}}, True),
    ({"detail": {"items": {"sku": ["B"]}}}, True),
    ({"detail": {"items": {"sku": ["C"]}}}, False),
    ({"detail": {"items": {"marks": ["red"]}}}, True),
    ({"detail": {"nested": [{"anything-but": "x"}]}}, True),
    # alternatives, and $or on every level
    ({"detail": {"c-count": [{"numeric": [">", 9]}, 5, {"prefix": "x"}]}}, True),
    ({"$or": [{"source": ["x"]}, {"detail": {"c-count": [5]}}]}, True),
    ({"detail": {"$or": [{"c-count": [{"numeric": [">", 9]}]}, {"d-count": [8]}], "flag": [False]}}, False),
    ({"source": ["aws.ec2"], "detail": {"$or": [{"c-count": [6]}, {"d-count": [8], "flag": [True]}]}}, True),
    ({"type": ["EC2 Instance State-change Notification"], "data": {"flag": [True]}, "labels": {"team": ["Pay"]}}, True),
]  # fmt: skip

FILTERS = [
    ([{"exact": {"type": "EC2 Instance State-change Notification", "source": "aws.ec2"}}], True),
    ([{"exact": {"source": "aws"}}], False),
    ([{"prefix": {"source": "aws."}}, {"suffix": {"subject": "-1"}}], True),
    ([{"prefix": {"source": "aws."}}, {"suffix": {"subject": "-2"}}], False),
    ([{"exact": {"team": "Pay"}}], True),
    ([{"exact": {"absent": "Pay"}}], False),
    ([{"not": {"exact": {"absent": "Pay"}}}], True),
    ([{"any": [{"exact": {"id": "x"}}, {"all": [{"prefix": {"id": "177"}}, {"not": {"suffix": {"id": "9"}}}]}]}], True),
    ([{"all": [{"exact": {"source": "aws.ec2"}}]}], True),
]


@pytest.mark.parametrize(("pattern", "holds"), BRIDGE)
def test_pattern_of_eventbridge_means_the_same(pattern: Any, holds: bool) -> None:
    assert _holds(pattern) is holds


@pytest.mark.parametrize(("filters", "holds"), FILTERS)
def test_filters_of_cloudevents_mean_the_same(filters: Any, holds: bool) -> None:
    assert _holds(filters) is holds


@pytest.mark.parametrize(
    ("document", "pointer", "said"),
    [
        (7, "", "object"),
        ({}, "", "object"),
        ([], "", "object"),
        ({"account": ["1"]}, "/account", "'account'"),
        ({"resources": [{"prefix": "arn:"}]}, "/resources", "'resources'"),
        ({"source": "aws.ec2"}, "/source", "list"),
        ({"source": []}, "/source", "list"),
        ({"source": {"a": ["x"]}}, "/source", "list"),
        ({"detail": ["x"]}, "/detail", "list"),
        ({"detail": {}}, "/detail", "object"),
        ({"detail": {"a.b": ["x"]}}, "/detail/a.b", "name"),
        ({"detail": {"a": [["x"]]}}, "/detail/a/0", "list"),
        ({"detail": {"a": [{"prefix": 5}]}}, "/detail/a/0/prefix", "text"),
        ({"detail": {"a": [{"regex": "x"}]}}, "/detail/a/0/regex", "'regex'"),
        ({"detail": {"a": ["x", {"prefix": "a", "suffix": "b"}]}}, "/detail/a/1", "one of"),
        ({"detail": {"a": [{"anything-but": {"numeric": [">", 5]}}]}}, "/detail/a/0/anything-but/numeric", "numeric"),
        ({"detail": {"a": [{"anything-but": []}]}}, "/detail/a/0/anything-but", "value"),
        ({"detail": {"a": [{"numeric": ["<", 5, ">", 1]}]}}, "/detail/a/0/numeric", "Must be as"),
        ({"detail": {"a": [{"numeric": [">", "5"]}]}}, "/detail/a/0/numeric", "Must be as"),
        ({"detail": {"a": [{"exists": 1}]}}, "/detail/a/0/exists", "true or false"),
        ({"detail": {"a": [{"cidr": "10.0.0.0/99"}]}}, "/detail/a/0/cidr", "network"),
        ({"detail": {"a": [{"wildcard": "a**b"}]}}, "/detail/a/0/wildcard", "side by side"),
        ({"detail": {"a": [{"wildcard": "a?*b"}]}}, "/detail/a/0/wildcard", "cannot be said"),
        ({"$or": [{"source": ["a"]}]}, "/$or", "two or more"),
        ({"detail": {"a": [f"x{n}" for n in range(1001)]}}, "/detail/a", "1,000"),
        ([{"sql": "source LIKE '%a%'"}], "/0/sql", "'sql'"),
        ([{"exact": {"type": ""}}], "/0/exact/type", "not empty"),
        ([{"exact": {"time": "2026"}}], "/0/exact/time", "'time'"),
        ([{"exact": {}}], "/0/exact", "object"),
        ([{"any": []}], "/0/any", "list"),
        ([{"not": [1]}], "/0/not", "filter"),
        ([{"exact": {"id": "1"}, "prefix": {"id": "1"}}], "/0", "one of"),
    ],
)
def test_what_cannot_be_said_is_refused_by_its_pointer(document: Any, pointer: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        import_condition(document)
    (fault,) = refused.value.faults
    assert fault.pointer == pointer
    assert said in fault.message


def test_what_differs_for_lists_is_told() -> None:
    found = import_condition({"detail": {"items": {"sku": ["A"], "n": [2]}}})
    assert found.notes == ("If data.items is a list of objects, EventBridge wants all in the same one.",)
    assert print_condition(found.tree) == "data.items[].sku[]:A data.items[].n[]:2"
    assert import_condition({"source": ["a"], "detail": {"x": ["a"], "y": [1]}}).notes == ()


def test_hostile_nesting_is_refused() -> None:
    deep: Any = {"x": ["a"]}
    for _ in range(200):
        deep = {"a": deep}
    with pytest.raises(Refused):
        import_condition({"detail": deep})
    filters: Any = {"exact": {"id": "1"}}
    for _ in range(200):
        filters = {"not": filters}
    with pytest.raises(Refused):
        import_condition([filters])
