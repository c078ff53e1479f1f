"""Hostile text in every column that holds somebody's words: no page, no part of one and no form takes it for markup."""

from __future__ import annotations

import re
from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask
from sqlalchemy import select

from tests.support.inhabited import inhabit, poison, readable
from tests.support.markup import unsafe
from tests.support.people import HTMX, Person
from tests.support.routes import addresses, rules
from webapp.runtime import Runtime
from webapp.store.columns import metadata

NASTY = "<script>alert('sbx')</script>\"'><img src=x onerror=alert('sbx')></textarea></title>{{7*191}}"
ESCAPED = re.compile(r"&lt;script&gt;alert\((?:'|&#39;|&#x27;)sbx")
MARKS = ("<script>alert", "<img src=x", r"(?<![0-9a-f])1337(?![0-9a-f])")  # no part of a trace id
SMUGGLED = "img[src=x], [href^='javascript:'], [src^='javascript:'], [hx-get^='javascript:']"
SHOWING = 70  # answers that show the text, escaped: fewer means that the pages were empty
QUERY = dict.fromkeys(
    ("q", "type", "source", "subject", "status", "state", "handler", "pattern", "condition", "from", "subscription",
     "actor", "action", "target", "kind", "name", "reason", "cursor", "after", "before", "since", "until", "start", "end",
     "cron", "time_zone", "uid", "mode", "words", "error", "event", "field", "path", "next", "a", "b", "v", "selection"),
    NASTY,
)  # fmt: skip
LOOKED = {"sessions.seen_at"}  # what looking may change: that somebody did


@pytest.fixture
def ids(app: Flask, sqlite_rt: Runtime) -> dict[str, str]:
    """A hub full of hostile text."""
    found = inhabit(app, NASTY)
    written = poison(sqlite_rt, NASTY)
    assert {"deliveries.error_message", "sources.name", "source_requests.body", "secrets.description"} <= set(written)
    return found


def _wrong(answer: Any) -> list[str]:
    """What is wrong with an answer to hostile text."""
    found = [f"status {answer.status_code}"] if answer.status_code >= 500 else []
    if answer.headers.get("X-Content-Type-Options") != "nosniff":
        found.append("may be sniffed")
    if "html" not in answer.content_type:
        return found
    page = BeautifulSoup(answer.text, "html.parser")
    found += unsafe(page) + [f"{tag.name} smuggled in" for tag in page.select(SMUGGLED)]
    return found + [mark for mark in MARKS if re.search(mark, answer.text)]


def _rows(rt: Runtime) -> dict[str, list[Any]]:
    with rt.db.read() as conn:
        return {
            table.name: sorted(
                (conn.execute(select(*[one for one in table.c if f"{table.name}.{one.name}" not in LOOKED]))).all(),
                key=repr,
            )
            for table in metadata.sorted_tables
        }


def test_no_page_takes_hostile_text_for_markup_and_looking_changes_nothing(
    app: Flask, signed_in: Person, sqlite_rt: Runtime, ids: dict[str, str]
) -> None:
    before, wrong, showing = _rows(sqlite_rt), {}, 0
    for address in readable(app, ids):
        for headers in ({}, HTMX):
            answer = signed_in.get(address, headers=headers)
            showing += bool(ESCAPED.search(answer.text))
            if found := _wrong(answer):
                wrong[address] = found
    assert wrong == {}
    assert showing >= SHOWING
    changed = [name for name, rows in _rows(sqlite_rt).items() if rows != before[name]]
    assert changed == []


def test_no_page_takes_its_address_for_markup(app: Flask, signed_in: Person, ids: dict[str, str]) -> None:
    wrong = {}
    in_path = {name: [NASTY.replace("/", "")] for rule in rules(app, "GET") for name in rule.arguments}
    for address in readable(app, ids):
        if found := _wrong(signed_in.get(address, query_string=QUERY)):
            wrong[address] = found
    for rule in rules(app, "GET"):
        (address,) = addresses(rule, in_path | {"verb": ["pause"], "filename": ["x"]})
        if found := _wrong(signed_in.get(address)):
            wrong[rule.rule] = found
    assert wrong == {}


def _forms(page: BeautifulSoup) -> list[tuple[str, dict[str, str]]]:
    """Where the forms and parts of a page send what was typed, each with hostile text in every field."""
    found = []
    for form in page.select("form"):
        address = form.get("hx-post") or form.get("action")
        typed = form.select("textarea[name], select[name], input[name]:not([type=hidden])")
        if typed and str(form.get("method", "get")).lower() == "post" and address:
            found.append((str(address), {str(tag["name"]): _typed(tag) for tag in form.select("[name]")}))
    return found


def _typed(tag: Tag) -> str:
    hidden = tag.get("type") == "hidden" and tag["name"] in ("csrf_token", "revision")
    return str(tag.get("value", "")) if hidden else NASTY


def test_no_form_takes_what_was_typed_for_markup(app: Flask, signed_in: Person, ids: dict[str, str]) -> None:
    wrong, sent = {}, set()
    for address in readable(app, ids):
        page = signed_in.get(address)
        for target, fields in _forms(BeautifulSoup(page.text, "html.parser")) if "html" in page.content_type else ():
            if target not in sent:
                sent.add(target)
                if found := _wrong(signed_in.post(target, fields | {"csrf_token": signed_in.csrf_token})):
                    wrong[target] = found
                signed_in.post(
                    "/settings/read-only/off", {"csrf_token": signed_in.csrf_token}
                )  # one form shuts the hub
    assert wrong == {}
    assert len(sent) >= 20, sorted(sent)
