"""Reading the HTML of pages as their users and browsers do: by id, words and addresses, never by CSS class."""

from __future__ import annotations

from bs4 import BeautifulSoup, Tag
from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

SENT = (("href", "GET"), ("hx-get", "GET"), ("hx-post", "POST"))


def soup(answer: TestResponse, status: int = 200) -> BeautifulSoup:
    """The parsed answer, which must have that status."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text[:300]}"
    return BeautifulSoup(answer.text, "html.parser")


def words(found: Tag | BeautifulSoup | None) -> str:
    """What a person reads, on one line."""
    assert found is not None
    return " ".join(found.get_text(" ").split())


def by_id(page: BeautifulSoup | Tag, name: str) -> Tag:
    """The element of that id, which must be there."""
    found = page.find(id=name)
    assert isinstance(found, Tag), f"nothing has the id {name}"
    return found


def unrouted(app: Flask, page: BeautifulSoup) -> list[str]:
    """Addresses on the page that no view answers with that method."""
    adapter, unknown = app.url_map.bind("localhost"), []
    actions = [
        (str(form.get("method", "get")).upper(), str(form["action"])) for form in page.select("form[action^='/']")
    ]
    sent = [(method, str(tag[name])) for name, method in SENT for tag in page.select(f"[{name}^='/']")]
    for method, address in [*actions, *sent]:
        try:
            adapter.match(address.partition("?")[0].partition("#")[0], method=method)
        except HTTPException:
            unknown.append(f"{method} {address}")
    return unknown


def unsafe(page: BeautifulSoup) -> list[str]:
    """What the content security policy would refuse, or what a payload smuggled in."""
    found = page.select("[style], [onerror], [onload], [onclick], [hx-on], iframe, object, embed")
    return [tag.name for tag in found] + ["script" for tag in page.select("script") if not tag.get("src")]


def without_tokens(found: Tag) -> str:
    """The HTML without the CSRF tokens, which differ from answer to answer."""
    for token in found.select("input[name=csrf_token]"):
        token.decompose()
    return str(found)
