"""Searches, ranges and forms that no page of ours would send: a literal match, an empty list or a refusal, never a fault."""

from __future__ import annotations

import pytest

from tests.support.factories import make_event
from tests.support.people import HTMX, Person, add_person, add_program
from webapp.app import create_app
from webapp.runtime import Runtime

SEARCHES = [
    "x" * 10_000, '"', "'", "'; DROP TABLE events; --", "1' OR '1'='1", "%", "_", "\\", "%_\\%", "*" * 400, "NEAR(a b, 5)",
    "a AND OR NOT", "((((((((((", ")" * 300, "(" * 300 + "a" + ")" * 300, "data.a:", ":::", "type:", "data.x~(a+)+$",
    "NOT " * 300 + "a", "\u202e", "😀", "$where", "{{7*7}}", "data." + "a." * 300 + "b:1", "data.a in (" + "1," * 500 + ")",
]  # fmt: skip
PAGES = ("/events?q=", "/events?type=", "/audit?q=", "/errors?q=", "/deliveries?q=", "/event-types?q=", "/schedules?q=")


def test_searches_are_parameters_and_never_sql(rt: Runtime) -> None:
    """Row 66, on both databases."""
    app = create_app(runtime=rt)
    ada, api = add_person(app, "ada", "admin"), add_program(app, "admin")
    make_event(rt, type="order.paid", payload={"a": "x"})
    for text in SEARCHES:
        for page in PAGES:
            path, name = page.removesuffix("=").split("?")
            assert ada.get(path, query_string={name: text}).status_code in (200, 422), f"{page}{text[:40]}"
        for path, name in (("/api/v1/events", "type"), ("/api/v1/event-types", "q"), ("/api/v1/sources", "after")):
            assert api.get(path, query_string={name: text}).status_code in (200, 400), f"{path} {text[:40]}"
    assert len(api.get("/api/v1/events").json["data"]) == 1  # type: ignore[index]


def test_condition_that_no_hand_would_write_is_judged_or_refused_on_both_databases(rt: Runtime) -> None:
    app = create_app(runtime=rt)
    api = add_program(app, "admin")
    make_event(rt, type="order.paid", payload={"a": "x"})
    for value in ("'", "%", "\\", "a" * 10_000, "\x00", "\ud800", 1e308, -0.0, None, True, [], {}):
        sent = {"pattern": "*", "condition": {"field": "data.a", "op": "eq", "value": value}}
        assert api.post("/api/v1/subscriptions/backtest", sent).status_code in (200, 422), repr(value)[:40]


@pytest.mark.parametrize(
    "query",
    ["since=2026-03-03T00:00:00Z&until=2026-03-01T00:00:00Z", "since=1900-01-01T00:00:00Z&until=9999-01-01T00:00:00Z",
     "since=0001-01-01T00:00:00Z", "until=9999-12-31T23:59:59Z", "since=0001-01-01T00:00:00%2B14:00"],
)  # fmt: skip
def test_odd_ranges_of_time_find_what_is_in_them(rt: Runtime, query: str) -> None:
    """Row 70: a range that ends before it begins holds nothing; a long one is a list like any other, in pages."""
    app = create_app(runtime=rt)
    api = add_program(app, "admin")
    make_event(rt)
    for path in ("/api/v1/events", "/api/v1/deliveries", "/api/v1/errors"):
        answer = api.get(f"{path}?{query}")
        assert answer.status_code in (200, 400), answer.text
        if answer.status_code == 200 and "2026-03-03" in query:
            assert answer.json["data"] == []  # type: ignore[index]


@pytest.mark.parametrize(
    "kind",
    ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "b" * 5_000,
     'multipart/form-data; boundary="\u00e9"', "multipart/form-data; boundary=a; boundary=b"],
)  # fmt: skip
def test_multipart_without_a_sane_boundary_is_refused(signed_in: Person, kind: str) -> None:
    """Row 37: there is nothing in it, so no token either."""
    body = b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n' + b"y" * 1_000
    answer = signed_in.client.post("/settings/keys", data=body, content_type=kind)
    assert answer.status_code in (400, 403, 422)


def test_header_bomb_in_a_part_is_refused(signed_in: Person) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="name"\r\n' + b"X-A: b\r\n" * 50_000
    answer = signed_in.client.post(
        "/settings/keys", data=head + b"\r\nx\r\n--b--\r\n", content_type="multipart/form-data; boundary=b"
    )
    assert answer.status_code in (400, 403, 413)


def test_claiming_to_be_htmx_opens_nothing(as_viewer: Person, stranger: Person) -> None:
    """Row 83: it chooses the form of an answer and nothing else."""
    assert stranger.get("/events", headers=HTMX).status_code == 401
    assert as_viewer.get("/settings/users", headers=HTMX).status_code == 403
    assert as_viewer.client.post("/events", data={"type": "order.paid"}, headers=HTMX).status_code == 403
    assert "HX-Request" in as_viewer.get("/events", headers=HTMX).headers["Vary"]
