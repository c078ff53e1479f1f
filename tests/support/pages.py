"""Reading pages as people and assistive technology do: by words, ids and roles, never by class."""

from __future__ import annotations

from bs4 import BeautifulSoup, Tag
from werkzeug.test import TestResponse


def soup(answer: TestResponse) -> BeautifulSoup:
    """The parsed answer, which must be one that a browser shows."""
    assert answer.status_code in (200, 422), answer.text[:500]
    return BeautifulSoup(answer.text, "html.parser")


def words(found: object) -> str:
    """The visible words, one space apart."""
    assert isinstance(found, Tag)
    return " ".join(found.get_text(" ").split())
