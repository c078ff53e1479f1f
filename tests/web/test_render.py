"""Words and parts: what filters say, that payloads stay text, and that htmx gets parts and people get pages."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from tests.support.people import Person
from webapp.web import filters, render

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</span></pre><b>",
    "{{ 7 * 7 }}",
    "&lt;b&gt;",
    "\u202egnp.exe",
    "'; DROP TABLE events; --",
    "\\u003cscript\\u003e",
]
TAG = re.compile(r"<[^>]*>")
OURS = re.compile(r'</span>|<span class="json-(?:key|string|number|word|mark)">')


@pytest.mark.parametrize("text", HOSTILE)
def test_json_tokens_keep_hostile_text_as_text(text: str) -> None:
    shown = str(filters.json_tokens(json.dumps({text: [text, {"deep": text}]})))
    assert all(OURS.fullmatch(tag) for tag in TAG.findall(shown))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=12,
    )
)
def test_json_tokens_show_the_same_document_when_read_back(value: object) -> None:
    shown = str(filters.json_tokens(json.dumps(value)))
    assert json.loads(unescape(OURS.sub("", shown))) == value
    assert all(OURS.fullmatch(tag) for tag in TAG.findall(shown))


@given(st.text())
def test_json_tokens_escape_what_is_not_json(text: str) -> None:
    assert all(OURS.fullmatch(tag) for tag in TAG.findall(str(filters.json_tokens(text))))


def test_json_tokens_show_numbers_as_they_were_sent() -> None:
    shown = str(filters.json_tokens('{"a":129.50,"b":1e400,"c":12345678901234567890}'))
    assert [number in shown for number in ("129.50", "1e400", "12345678901234567890")] == [True] * 3


def test_json_tokens_are_laid_out_by_depth() -> None:
    shown = OURS.sub("", str(filters.json_tokens('{"a":[1,{}],"b":[]}')))
    assert unescape(shown) == '{\n  "a": [\n    1,\n    {}\n  ],\n  "b": []\n}'


def test_json_tokens_stop_at_the_limit_and_say_how_much_is_left() -> None:
    text = json.dumps(["x" * 90] * 2000)
    assert f"… {len(text) - filters.SHOWN_CHARS} more characters" in str(filters.json_tokens(text))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"), (0, "0 ms"), (0.0004, "0.4 ms"), (0.004, "4.0 ms"), (0.412, "412 ms"), (0.9999, "1.0 s"), (1.1, "1.1 s"),
        (5.04, "5.0 s"), (9.96, "10 s"), (59.4, "59 s"), (60, "1 min"), (192, "3 min 12 s"), (7500, "2 h 5 min"),
        (273600, "3 d 4 h"), (-3, "0 ms"),
    ],
)  # fmt: skip
def test_duration_says(seconds: float | None, words: str) -> None:
    assert filters.duration(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(None, "–"), (0, "0 B"), (1023, "1023 B"), (1434, "1.4 KiB"), (3 << 20, "3.0 MiB"), (5 << 30, "5.0 GiB")],
)
def test_size_says(count: int | None, words: str) -> None:
    assert filters.size(count) == words


@pytest.mark.parametrize(
    ("value", "words"), [(None, "–"), (18204, "18,204"), (2.5, "2.5"), (2.0, "2"), (1234.567, "1,234.57")]
)
def test_number_says(value: float | None, words: str) -> None:
    assert filters.number(value) == words


def test_capped_says_more_than_the_cap() -> None:
    assert [filters.capped(n, 99) for n in (7, 99, 100)] == ["7", "99", "99+"]


def test_instants_are_told_in_utc() -> None:
    at = datetime.fromisoformat("2026-11-23T14:02:08.412999+02:00")
    assert (filters.iso(at), filters.exact(at), filters.clock(at)) == (
        "2026-11-23T12:02:08.412Z", "2026-11-23 12:02:08.412 UTC", "12:02:08",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "just now"), (0.4, "just now"), (12.9, "12 s ago"), (185, "3 min ago"), (7300, "2 h ago"), (4e5, "4 d ago")],
)
def test_ago_says(app: Flask, seconds: float, words: str) -> None:
    with app.app_context():
        at = app.extensions["signalbox"].clock() - timedelta(seconds=seconds)
        assert app.jinja_env.filters["ago"](at) == words


def test_until_says_now_when_it_is_late(app: Flask) -> None:
    with app.app_context():
        now = app.extensions["signalbox"].clock()
        until = app.jinja_env.filters["until"]
        assert [until(now + timedelta(seconds=s)) for s in (-1, 18, 3700)] == ["now", "in 18 s", "in 1 h 1 min"]
        assert until(datetime(2000, 1, 1, tzinfo=UTC), "overdue") == "overdue"


# Pages and parts


def test_htmx_gets_the_part_and_a_browser_the_page(signed_in: Person) -> None:
    page, part = signed_in.get("/events"), signed_in.part("/events")
    assert "<!doctype html>" in page.text
    assert part.text.lstrip().startswith('<div id="events-table"')


@pytest.mark.parametrize("header", ["HX-History-Restore-Request", "HX-Boosted"])
def test_back_button_gets_the_page_though_htmx_asks(signed_in: Person, header: str) -> None:
    assert "<!doctype html>" in signed_in.part("/events", headers={header: "true"}).text


@pytest.mark.parametrize("path", ["/", "/events", "/events/new"])
def test_answers_vary_by_who_asks(signed_in: Person, path: str) -> None:
    for answer in (signed_in.get(path), signed_in.part(path)):
        assert "HX-Request" in answer.headers["Vary"]


def test_page_holds_its_part_word_for_word(signed_in: Person) -> None:
    page, part = signed_in.get("/events").text, signed_in.part("/events").text
    assert " ".join(part.split()) in " ".join(page.split())


def test_toast_header_cannot_be_broken_out_of(app: Flask) -> None:
    with app.test_request_context("/"):
        answer = render.toast(app.response_class(), "line\r\nSet-Cookie: a=b", link="/events")
    value = answer.headers["HX-Trigger"]
    assert value.isascii()
    assert not set("\r\n") & set(value)
    assert json.loads(value)["toast"]["text"] == "line\r\nSet-Cookie: a=b"


def test_signed_out_person_sees_no_counts_and_no_socket(stranger: Person) -> None:
    page = stranger.get("/sign-in").text
    assert "data-live=" not in page
    assert "nav-count" not in page
